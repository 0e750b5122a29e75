/** A camera's state as a small mark: states differ in shape as well as in colour. */

import { html, svg, type TemplateResult } from "lit";
import { t } from "../i18n/index.js";
import type { ShownStatus } from "../model/cameras.js";

const SHAPES: Record<ShownStatus, { color: string; shape: ReturnType<typeof svg> }> = {
  online: { color: "var(--good)", shape: svg`<circle cx="7" cy="7" r="5" fill="currentColor"/>` },
  degraded: { color: "var(--warn)", shape: svg`<path d="M7 1.5L13 12.5H1z" fill="currentColor"/>` },
  offline: {
    color: "var(--fault)",
    shape: svg`<path d="M2.5 2.5l9 9M11.5 2.5l-9 9" stroke="currentColor" stroke-width="2.6" stroke-linecap="round"/>`,
  },
  connecting: {
    color: "var(--accent)",
    shape: svg`<circle cx="7" cy="7" r="4.5" fill="none" stroke="currentColor" stroke-width="2.2"/>`,
  },
  disabled: {
    color: "var(--text-dim)",
    shape: svg`<path d="M2.5 7h9" stroke="currentColor" stroke-width="2.6" stroke-linecap="round"/>`,
  },
  unknown: {
    color: "var(--text-dim)",
    shape: svg`<circle cx="7" cy="7" r="4.5" fill="none" stroke="currentColor" stroke-width="1.6" stroke-dasharray="2.4 2.4"/>`,
  },
};

export function statusMark(status: ShownStatus): TemplateResult {
  const { color, shape } = SHAPES[status];
  return html`<svg class="icon" viewBox="0 0 14 14" width="14" height="14" role="img" aria-label=${t(`status.${status}`)}
    .style=${`color: ${color}`}>${shape}</svg>`;
}
