/** Check boxes for cameras: those already chosen, those on the wall, and those that a search finds anywhere. */

import { css, html, LitElement, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import type { App } from "../app/app.js";
import { t } from "../i18n/index.js";
import { search } from "../model/search.js";
import { wallCameras } from "../model/wall.js";
import { form, shared } from "./styles.js";
import { Watch } from "./watch.js";

/** So many found cameras are offered; more words find fewer. */
const FOUND = 12;

/** Fires `change` with the new set as its detail. */
@customElement("pantau-camera-choice")
export class CameraChoice extends LitElement {
  static override styles = [
    shared,
    form,
    css`
      :host {
        display: block;
      }
      fieldset {
        display: grid;
        grid-template-columns: minmax(0, 1fr) minmax(0, 1fr);
        gap: 6px 14px;
        min-width: 0;
        max-height: 220px;
        margin: 0;
        padding: 10px 12px;
        overflow: auto;
        border: 1px solid var(--line);
        border-radius: 6px;
      }
      legend {
        padding: 0 4px;
        color: var(--text-soft);
        font-size: 13px;
      }
      label.find {
        grid-column: 1 / -1;
      }
      .check {
        overflow-wrap: anywhere;
      }
      @media (max-width: 760px) {
        fieldset {
          grid-template-columns: minmax(0, 1fr);
        }
      }
    `,
  ];

  @property({ attribute: false }) app!: App;
  @property({ attribute: false }) chosen: ReadonlySet<string> = new Set();
  @state() private query = "";

  constructor() {
    super();
    new Watch(this, () => [this.app.wall, this.app.cameras]);
  }

  private toggle(id: string, on: boolean): void {
    const chosen = new Set(this.chosen);
    if (on) chosen.add(id);
    else chosen.delete(id);
    this.dispatchEvent(new CustomEvent("change", { detail: chosen }));
  }

  private offered(): string[] {
    const found = this.query.trim() === "" ? [] : search([...(this.app.cameras.value?.values() ?? [])], this.query);
    const others =
      this.query.trim() === "" ? wallCameras(this.app.wall.value) : found.map(({ id }) => id).slice(0, FOUND);
    return [...new Set([...this.chosen, ...others])];
  }

  override render(): TemplateResult {
    return html`<fieldset>
      <legend>${t("export.cameras")}</legend>
      <label class="find">
        <span class="visually-hidden">${t("cameras.find")}</span>
        <input name="find" type="search" autocomplete="off" placeholder=${t("cameras.find")} .value=${this.query}
          @change=${(event: Event) => event.stopPropagation()}
          @input=${(event: Event) => {
            this.query = (event.target as HTMLInputElement).value;
          }} />
      </label>
      ${this.offered().map(
        (id) => html`<label class="check">
          <input type="checkbox" value=${id} .checked=${this.chosen.has(id)}
            @change=${(event: Event) => {
              event.stopPropagation();
              this.toggle(id, (event.target as HTMLInputElement).checked);
            }} />
          ${this.app.camera(id)?.name ?? id}
        </label>`,
      )}
    </fieldset>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-camera-choice": CameraChoice;
  }
}
