/** Exports clips or an evidence bundle. The browser downloads them; the page holds no video. */

import { html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import type { Incident } from "../api/generated.js";
import type { App } from "../app/app.js";
import { t } from "../i18n/index.js";
import { footageRange, validRange } from "../model/footage.js";
import { duration } from "../model/format.js";
import { momentText, parseMoment } from "../model/moment.js";
import { meantCameras } from "../model/wall.js";
import { cameraChecks, cameraChecksStyles } from "./camera-checks.js";
import { momentInput } from "./moment-input.js";
import { form, shared } from "./styles.js";
import { Watch } from "./watch.js";
import "./modal.js";

/** Browsers drop downloads that begin in the same moment. */
const DOWNLOAD_SPACING_MS = 400;

@customElement("pantau-export-dialog")
export class ExportDialog extends LitElement {
  static override styles = [shared, form, cameraChecksStyles];

  @property({ attribute: false }) app!: App;
  @property({ attribute: false }) incident: Incident | null = null;
  @state() private from = "";
  @state() private to = "";
  @state() private chosen: ReadonlySet<string> = new Set();
  @state() private kind: "clip" | "evidence" = "clip";
  @state() private reason = "";
  @state() private problem = "";
  @state() private started = false;

  constructor() {
    super();
    new Watch(this, () => []);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    const { playback, wall } = this.app;
    const range = footageRange(this.incident, playback.range.value, playback.nowMs(), Date.now());
    this.from = momentText(range.fromMs);
    this.to = momentText(range.toMs);
    this.chosen = new Set(this.incident?.cameras ?? meantCameras(wall.value));
    this.kind = this.incident ? "evidence" : "clip";
    this.reason = this.incident?.title ?? "";
  }

  private range() {
    return validRange(parseMoment(this.from), parseMoment(this.to));
  }

  private run(): void {
    const range = this.range();
    const cameras = [...this.chosen];
    const reasonMissing = this.kind === "evidence" && !this.reason.trim();
    if (!range) this.problem = t("export.bad-range");
    else if (cameras.length === 0) this.problem = t("export.no-camera");
    else if (reasonMissing) this.problem = `${t("export.reason")}: ${t("form.required")}`;
    else {
      this.problem = "";
      const { api } = this.app;
      const urls =
        this.kind === "clip"
          ? cameras.map((camera) => api.clipUrl(camera, range.fromMs, range.toMs))
          : [api.evidenceUrl({ cameras, ...range }, this.reason.trim(), this.incident?.id ?? null)];
      urls.forEach((url, index) => {
        setTimeout(() => download(url), index * DOWNLOAD_SPACING_MS);
      });
      this.started = true;
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
    return html`<pantau-modal .heading=${t("export.title")} @close=${() => this.app.show({ dialog: null })}>
      <div class="fields">
        <div class="row">${this.moment("from")} ${this.moment("to")}</div>
        ${range ? html`<span class="hint">${t("export.length", { duration: duration(range.toMs - range.fromMs) })}</span>` : nothing}
        ${cameraChecks(this.app, this.chosen, (chosen) => {
          this.chosen = chosen;
          this.started = false;
        })}
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
            : nothing
        }
        ${this.problem ? html`<span class="error" role="alert">${this.problem}</span>` : nothing}
        ${this.started ? html`<span role="status">${t("export.started")}</span>` : nothing}
      </div>
      <button slot="actions" class="plain" @click=${() => this.app.show({ dialog: null })}>${t("dialog.close")}</button>
      <button slot="actions" class="primary" @click=${() => this.run()}>${t("export.run")}</button>
    </pantau-modal>`;
  }
}

function download(url: string): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = "";
  link.click();
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-export-dialog": ExportDialog;
  }
}
