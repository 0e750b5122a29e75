/** The frame of every dialog: the browser's own <dialog>, which keeps the focus inside and closes on Escape. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, query } from "lit/decorators.js";
import { t } from "../i18n/index.js";
import { icon } from "./icons.js";
import { shared } from "./styles.js";

const FIELD = ":is(input, select, textarea, button, a[href]):not(:disabled, [tabindex='-1'])";

/** Fires `close` when it was closed. Its body goes into the default slot, its buttons into the slot `actions`. */
@customElement("pantau-modal")
export class Modal extends LitElement {
  static override styles = [
    shared,
    css`
      dialog {
        display: flex;
        flex-direction: column;
        width: min(var(--modal-width, 560px), calc(var(--view-width) - 48px));
        max-height: calc(var(--view-height) - 64px);
        padding: 0;
        border: 1px solid var(--line);
        border-radius: 10px;
        background: var(--panel);
        color: var(--text);
      }
      dialog:not([open]) {
        display: none;
      }
      dialog::backdrop {
        background: rgb(5 7 9 / 0.62);
      }
      .head {
        display: flex;
        align-items: center;
        justify-content: space-between;
        padding: 12px 12px 10px 20px;
        border-bottom: 1px solid var(--line);
      }
      h2 {
        margin: 0;
        font-size: 18px;
        font-weight: 600;
      }
      .body {
        padding: 16px 20px;
      }
      .foot {
        display: flex;
        flex-wrap: wrap;
        justify-content: flex-end;
        gap: 8px;
        padding: 12px 20px;
        border-top: 1px solid var(--line);
      }
      /* Of a low window head and buttons would take all: the dialog is scrolled as a whole. */
      @media (max-height: 480px) {
        dialog {
          width: min(var(--modal-width, 560px), calc(var(--view-width) - 12px));
          max-width: none;
          max-height: calc(var(--view-height) - 12px);
          overflow: auto;
        }
        .body {
          flex: none;
        }
      }
    `,
  ];

  @property() heading = "";
  @property({ type: Boolean }) actions = true;
  @query("dialog") private dialog!: HTMLDialogElement;

  protected override firstUpdated(): void {
    this.dialog.showModal();
    (this.firstField() ?? this.dialog).focus();
  }

  /** What the dialog is for: its first field, else its first button, but not the one that closes it. */
  private firstField(): HTMLElement | undefined {
    const slots = [...this.renderRoot.querySelectorAll("slot")];
    const slotted = slots.flatMap((slot) => slot.assignedElements());
    const fields = slotted.flatMap((element) =>
      element.matches(FIELD) ? [element] : [...element.querySelectorAll(FIELD)],
    );
    return fields.find((field): field is HTMLElement => field instanceof HTMLElement);
  }

  private readonly onClose = () => this.dispatchEvent(new CustomEvent("close"));

  override render(): TemplateResult {
    return html`<dialog tabindex="-1" aria-label=${this.heading} @close=${this.onClose}
      @keydown=${(event: KeyboardEvent) => event.stopPropagation()}>
      <div class="head">
        <h2>${this.heading}</h2>
        <button class="icon-only" aria-label=${t("dialog.close")} title=${t("dialog.close")} @click=${this.onClose}>
          ${icon("close")}
        </button>
      </div>
      <div class="body scroll" tabindex=${this.actions ? nothing : 0}><slot></slot></div>
      ${this.actions ? html`<div class="foot"><slot name="actions"></slot></div>` : nothing}
    </dialog>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-modal": Modal;
  }
}
