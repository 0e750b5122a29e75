/** The keyboard help, made from the table that the handler uses. */

import { css, html, LitElement, type TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import type { App } from "../app/app.js";
import { t } from "../i18n/index.js";
import { type Binding, helpLines, keyName } from "../model/keys.js";
import { chooseScale, isScaleChoice, SCALES, type ScaleChoice, scaleChoice } from "../model/scale.js";
import type { Footage } from "../model/timeline.js";
import { form, shared } from "./styles.js";
import { DAMAGE_COLOR, GAP_COLOR, RANGE_COLORS } from "./timeline-paint.js";
import { Watch } from "./watch.js";
import "./modal.js";

@customElement("pantau-help-dialog")
export class HelpDialog extends LitElement {
  static override styles = [
    shared,
    form,
    css`
      pantau-modal {
        --modal-width: 860px;
      }
      .columns {
        display: grid;
        grid-template-columns: 1fr 1fr;
        gap: 4px 40px;
      }
      h3 {
        margin: 0 0 6px;
        color: var(--text-soft);
        font-size: 14px;
        font-weight: 600;
      }
      section {
        margin-bottom: 14px;
      }
      dl {
        display: grid;
        grid-template-columns: minmax(0, 40%) minmax(0, 1fr);
        gap: 5px 14px;
        margin: 0;
      }
      dt {
        display: flex;
        flex-wrap: wrap;
        align-items: flex-start;
        gap: 4px;
      }
      dd {
        margin: 0;
      }
      kbd {
        min-width: 24px;
        padding: 1px 7px;
        border: 1px solid var(--line);
        border-bottom-width: 2px;
        border-radius: 5px;
        background: var(--raised);
        font: inherit;
        font-size: 13px;
        text-align: center;
        white-space: nowrap;
      }
      .swatch {
        width: 24px;
        height: 16px;
        border-radius: 3px;
      }
      .scale {
        grid-template-columns: auto minmax(0, 200px);
        align-items: center;
        gap: 14px;
        margin-bottom: 16px;
        font-size: 15px;
      }
      @media (max-width: 760px) {
        .columns {
          grid-template-columns: minmax(0, 1fr);
        }
      }
      p {
        margin: 4px 0 0;
        color: var(--text-soft);
        font-size: 14px;
      }
    `,
  ];

  @property({ attribute: false }) app!: App;

  constructor() {
    super();
    new Watch(this, () => [scaleChoice]);
  }

  private section(group: Binding["group"]): TemplateResult {
    return html`<section>
      <h3>${t(`help.${group}`)}</h3>
      <dl>
        ${helpLines(group).map(
          ({ label, keys }) => html`<dt>${keys.map((key) => html`<kbd>${keyName(key, t("key.space"))}</kbd>`)}</dt>
            <dd>${t(label)}</dd>`,
        )}
      </dl>
    </section>`;
  }

  private colors(): TemplateResult {
    const named = [...Object.entries(RANGE_COLORS), ["damaged", DAMAGE_COLOR], ["not-recorded", GAP_COLOR]] as [
      Footage | "damaged" | "not-recorded",
      string,
    ][];
    return html`<section>
      <h3>${t("help.colors")}</h3>
      <dl>
        ${named.map(
          ([name, color]) => html`<dt><span class="swatch" .style=${`background: ${color}`}></span></dt>
            <dd>${t(`timeline.${name}`)}</dd>`,
        )}
      </dl>
    </section>`;
  }

  private choose(choice: string): void {
    if (isScaleChoice(choice)) chooseScale(localStorage, choice);
  }

  override render(): TemplateResult {
    return html`<pantau-modal .heading=${t("help.title")} .actions=${false} @close=${() => this.app.show({ dialog: null })}>
      <label class="scale">${t("help.scale")}
        <select @change=${(event: Event) => this.choose((event.target as HTMLSelectElement).value)}>
          ${SCALES.map(
            (choice) =>
              html`<option value=${choice} ?selected=${choice === scaleChoice.value}>${scaleText(choice)}</option>`,
          )}
        </select>
      </label>
      <div class="columns">
        <div>${this.section("wall")} ${this.section("page")}</div>
        <div>${this.section("playback")} ${this.colors()}</div>
      </div>
      <p>${t("help.mouse")}</p>
      <p>${t("help.link")}</p>
    </pantau-modal>`;
  }
}

function scaleText(choice: ScaleChoice): string {
  return choice === "auto" ? t("help.scale.auto") : `${Number(choice) * 100} %`;
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-help-dialog": HelpDialog;
  }
}
