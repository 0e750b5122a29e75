/** What the dialogs about people share: the tabs between them, as far as one may, and the look of their tables. */

import { css, html, nothing, type TemplateResult } from "lit";
import type { App } from "../app/app.js";
import { t } from "../i18n/index.js";

const TABS = ["accounts", "grants", "audit"] as const;
type Tab = (typeof TABS)[number];

export function peopleTabs(app: App, current: Tab): TemplateResult | typeof nothing {
  if (!app.may("admin")) return nothing;
  const open = (kind: Tab) =>
    app.show({ dialog: kind === "audit" ? { kind, camera: null, person: null } : { kind, account: null } });
  return html`<nav aria-label=${t("people.title")}>
    ${TABS.map(
      (kind) => html`<button class="plain" aria-pressed=${kind === current} @click=${() => open(kind)}>
        ${t(`people.${kind}`)}
      </button>`,
    )}
  </nav>`;
}

export const people = css`
  pantau-modal {
    --modal-width: 1180px;
  }
  nav,
  .actions {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 8px;
  }
  nav {
    margin-bottom: 14px;
  }
  section,
  form {
    display: grid;
    gap: 12px;
    margin-top: 18px;
  }
  h3 {
    margin: 0;
    color: var(--text-soft);
    font-size: 14px;
    font-weight: 600;
  }
  p,
  ul {
    margin: 0;
    padding: 0;
    list-style: none;
  }
  .table {
    overflow-x: auto;
  }
  table {
    width: 100%;
    border-collapse: collapse;
    font-variant-numeric: tabular-nums;
  }
  th {
    text-align: left;
    font-weight: 500;
    color: var(--text-soft);
    font-size: 13px;
  }
  th,
  td {
    padding: 6px 12px 6px 0;
    border-bottom: 1px solid var(--line);
    vertical-align: top;
    overflow-wrap: anywhere;
  }
  .meta {
    color: var(--text-soft);
    font-size: 13.5px;
  }
  .done {
    color: var(--good);
  }
  .warn {
    color: var(--warn);
  }
  .three {
    display: grid;
    grid-template-columns: repeat(auto-fit, minmax(190px, 1fr));
    gap: 12px;
  }
  fieldset {
    display: flex;
    flex-wrap: wrap;
    gap: 6px 18px;
    margin: 0;
    padding: 8px 12px;
    border: 1px solid var(--line);
    border-radius: 6px;
  }
  legend {
    color: var(--text-soft);
    font-size: 13px;
  }
  a {
    color: var(--text);
  }
  code {
    overflow-wrap: anywhere;
    user-select: all;
  }
  @media (max-width: 760px) {
    button {
      min-height: 44px;
    }
  }
`;
