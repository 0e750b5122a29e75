/** Starts exports of clips or an evidence bundle, as jobs. The browser downloads them; the page holds no video. */

import { html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { ApiError } from "../api/client.js";
import type { ExportRequest, Incident } from "../api/generated.js";
import type { App } from "../app/app.js";
import { problemText } from "../app/problem.js";
import { t } from "../i18n/index.js";
import { footageRange, validRange, wholeSeconds } from "../model/footage.js";
import { duration } from "../model/format.js";
import { momentText, parseMoment } from "../model/moment.js";
import { siteNow } from "../model/site-clock.js";
import { meantCameras } from "../model/wall.js";
import { momentInput } from "./moment-input.js";
import { form, shared } from "./styles.js";
import { Watch } from "./watch.js";
import "./camera-choice.js";
import "./exports-tray.js";
import "./modal.js";

@customElement("pantau-export-dialog")
export class ExportDialog extends LitElement {
  static override styles = [shared, form];

  @property({ attribute: false }) app!: App;
  @property({ attribute: false }) incident: Incident | null = null;
  @state() private from = "";
  @state() private to = "";
  @state() private chosen: ReadonlySet<string> = new Set();
  @state() private kind: "clip" | "evidence" = "clip";
  @state() private reason = "";
  @state() private problem = "";
  @state() private burnIn = false;
  @state() private started = false;

  constructor() {
    super();
    new Watch(this, () => []);
  }

  private readonly close = () =>
    this.app.show({ dialog: this.incident ? { kind: "incident-page", id: this.incident.id } : null });

  override connectedCallback(): void {
    super.connectedCallback();
    const { playback, wall } = this.app;
    const now = siteNow();
    const range = wholeSeconds(footageRange(this.incident, playback.range.value, playback.nowMs(), now), now);
    this.from = momentText(range.fromMs);
    this.to = momentText(range.toMs);
    this.chosen = new Set(this.incident?.cameras ?? meantCameras(wall.value));
    this.kind = this.incident ? "evidence" : "clip";
    this.reason = this.incident?.title ?? "";
  }

  private range() {
    return validRange(parseMoment(this.from), parseMoment(this.to));
  }

  private async run(): Promise<void> {
    const range = this.range();
    const cameras = [...this.chosen];
    const reason = this.reason.trim();
    if (!range) this.problem = t("export.bad-range");
    else if (cameras.length === 0) this.problem = t("export.no-camera");
    else if (this.kind === "evidence" && !reason) this.problem = `${t("export.reason")}: ${t("form.required")}`;
    else {
      this.problem = "";
      const span = { from: new Date(range.fromMs).toISOString(), to: new Date(range.toMs).toISOString() };
      const about = { ...span, reason, incident: this.incident?.id ?? null };
      const wanted: ExportRequest[] =
        this.kind === "clip"
          ? cameras.map((camera) => ({ ...about, kind: "clip", cameras: [camera], burn_in: this.burnIn }))
          : [{ ...about, kind: "bundle", cameras }];
      try {
        await this.app.exports.start(wanted);
        this.started = true;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        this.problem = problemText(error);
      }
    }
  }

  private choice(kind: "clip" | "evidence"): TemplateResult {
    return html`<label class="check">
      <input type="radio" name="kind" value=${kind} .checked=${this.kind === kind}
        @change=${() => {
          this.kind = kind;
          this.started = false;
        }} />
      <span>${t(`export.${kind}`)}<br /><span class="hint">${t(`export.${kind}.hint`)}</span></span>
    </label>`;
  }

  private moment(name: "from" | "to"): TemplateResult {
    return momentInput(name, this[name], (value) => {
      this[name] = value;
      this.started = false;
    });
  }

  override render(): TemplateResult {
    const range = this.range();
    return html`<pantau-modal .heading=${t("export.title")} @close=${this.close}>
      <div class="fields">
        <div class="row">${this.moment("from")} ${this.moment("to")}</div>
        ${range ? html`<span class="hint">${t("export.length", { duration: duration(range.toMs - range.fromMs) })}</span>` : nothing}
        <pantau-camera-choice .app=${this.app} .chosen=${this.chosen}
          @change=${(event: CustomEvent<ReadonlySet<string>>) => {
            this.chosen = event.detail;
            this.started = false;
          }}></pantau-camera-choice>
        ${this.choice("clip")} ${this.choice("evidence")}
        ${
          this.kind === "evidence"
            ? html`<label>
                ${t("export.reason")}
                <input name="reason" .value=${this.reason} maxlength="500"
                  @input=${(event: Event) => {
                    this.reason = (event.target as HTMLInputElement).value;
                  }} />
                <span class="hint">${t("export.reason.hint")}</span>
              </label>`
            : html`<label class="check">
                <input type="checkbox" name="burn-in" .checked=${this.burnIn}
                  @change=${(event: Event) => {
                    this.burnIn = (event.target as HTMLInputElement).checked;
                    this.started = false;
                  }} />
                <span>${t("export.burn-in")}<br /><span class="hint">${t("export.burn-in.hint")}</span></span>
              </label>`
        }
        ${this.problem ? html`<span class="error" role="alert">${this.problem}</span>` : nothing}
        ${this.started ? html`<span role="status">${t("export.started")}</span>` : nothing}
        <pantau-exports-tray .app=${this.app}></pantau-exports-tray>
      </div>
      <button slot="actions" class="plain" @click=${this.close}>${t("dialog.close")}</button>
      <button slot="actions" class="primary" @click=${() => this.run()}>${t("export.run")}</button>
    </pantau-modal>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-export-dialog": ExportDialog;
  }
}
