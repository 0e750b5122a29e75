/** The camera list's edge: dragged, or moved by the arrow keys, it makes the list wider. This browser remembers it. */

import { css, html, LitElement, type TemplateResult } from "lit";
import { customElement, state } from "lit/decorators.js";
import { t } from "../i18n/index.js";
import { LEAST_PX, listWidth, MOST_PX, rememberedWidth, rememberWidth } from "../model/list-width.js";
import { pointIn } from "../model/scale.js";
import { Watch } from "./watch.js";

const STEP_PX = 16;

@customElement("pantau-list-edge")
export class ListEdge extends LitElement {
  static override styles = css`
    div {
      position: absolute;
      inset: 0 -4px 0 auto;
      z-index: 1;
      width: 8px;
      cursor: col-resize;
      touch-action: none;
    }
    div:hover,
    div:focus-visible {
      background: var(--accent-deep);
    }
    div:focus-visible {
      outline: 2px solid var(--focus);
    }
    @media (max-width: 760px) {
      div {
        display: none;
      }
    }
  `;

  @state() private widthPx = rememberedWidth(localStorage);

  constructor() {
    super();
    new Watch(this, () => []);
  }

  private readonly onDown = (event: PointerEvent) => {
    (event.target as HTMLElement).setPointerCapture(event.pointerId);
    // A click no longer does it: `mousedown` is cancelled, for the browser would drag the row that comes under its place.
    (event.target as HTMLElement).focus({ preventScroll: true });
  };

  private readonly onMove = (event: PointerEvent) => {
    if (event.buttons === 0 || !this.parentElement) return;
    this.widthPx = listWidth(pointIn(event, this.parentElement).x);
  };

  private readonly onKey = (event: KeyboardEvent) => {
    const by = { ArrowLeft: -STEP_PX, ArrowRight: STEP_PX }[event.key];
    if (by === undefined) return;
    this.widthPx = listWidth(this.widthPx + by);
    this.remember();
    event.preventDefault();
  };

  private readonly remember = () => rememberWidth(localStorage, this.widthPx);

  override render(): TemplateResult {
    document.documentElement.style.setProperty("--list-width", `${this.widthPx}px`);
    return html`<div role="separator" tabindex="0" aria-orientation="vertical" aria-label=${t("list.edge")} title=${t("list.edge")}
      aria-valuenow=${this.widthPx} aria-valuemin=${LEAST_PX} aria-valuemax=${MOST_PX}
      @pointerdown=${this.onDown} @mousedown=${(event: Event) => event.preventDefault()}
      @pointermove=${this.onMove} @pointerup=${this.remember} @keydown=${this.onKey}></div>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-list-edge": ListEdge;
  }
}
