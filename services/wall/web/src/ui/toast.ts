/** One short word about what was just done, with the button that takes it back. */

import { css, html, LitElement, type TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import type { App } from "../app/app.js";
import { t } from "../i18n/index.js";
import { shared } from "./styles.js";
import { Watch } from "./watch.js";

const SHOWN_MS = 6000;

@customElement("pantau-toast")
export class Toast extends LitElement {
  static override styles = [
    shared,
    css`
      :host {
        position: fixed;
        left: 50%;
        bottom: 18px;
        z-index: 5;
        transform: translateX(-50%);
        pointer-events: none;
      }
      .toast {
        display: flex;
        align-items: center;
        gap: 12px;
        padding: 6px 6px 6px 16px;
        border: 1px solid var(--line);
        border-radius: 10px;
        background: var(--panel);
        color: var(--text);
        box-shadow: 0 6px 22px rgb(0 0 0 / 0.5);
        pointer-events: auto;
      }
      kbd {
        color: var(--text-dim);
      }
    `,
  ];

  @property({ attribute: false }) app!: App;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private endWatch: (() => void) | undefined;

  constructor() {
    super();
    new Watch(this, () => [this.app.arranging.last]);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.endWatch = this.app.arranging.last.subscribe(() => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.app.arranging.last.set(null), SHOWN_MS);
    });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearTimeout(this.timer);
    this.endWatch?.();
  }

  override render(): TemplateResult {
    const { arranging } = this.app;
    const last = arranging.last.value;
    if (!last) return html`<div role="status"></div>`;
    const undone = last.how === "undone";
    return html`<div role="status">
      <div class="toast">
        <span>${undone ? t("toast.undone", { what: t(last.what) }) : t(last.what)}</span>
        ${
          undone
            ? html`<button class="plain" @click=${() => arranging.redo()}>${t("toast.redo")} <kbd>Ctrl Y</kbd></button>`
            : html`<button class="plain" @click=${() => arranging.undo()}>${t("toast.undo")} <kbd>Ctrl Z</kbd></button>`
        }
      </div>
    </div>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-toast": Toast;
  }
}
