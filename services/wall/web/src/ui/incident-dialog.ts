/** Opening an incident, which holds its cameras' footage, and changing one. */

import { html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { ApiError } from "../api/client.js";
import type { Incident } from "../api/generated.js";
import type { App } from "../app/app.js";
import { problemText } from "../app/problem.js";
import { language, t } from "../i18n/index.js";
import { footageRange, wholeSeconds } from "../model/footage.js";
import { localeOf } from "../model/format.js";
import { changesOf, type IncidentFields, tooShort } from "../model/incident-changes.js";
import { momentText, parseMoment } from "../model/moment.js";
import { siteNow } from "../model/site-clock.js";
import { meantCameras } from "../model/wall.js";
import { momentInput } from "./moment-input.js";
import { form, shared } from "./styles.js";
import { Watch } from "./watch.js";
import "./camera-choice.js";
import "./modal.js";

/** Days that an incident is held after it was closed; empty: as the site's setting says. */
const HOLD = /^\s*\d{0,4}([.,]\d+)?\s*$/;
const MAX_HOLD_DAYS = 3650;

function validHold(text: string): boolean {
  return HOLD.test(text) && days(text) <= MAX_HOLD_DAYS;
}

/** With a decimal comma, too. */
function days(text: string): number {
  return Number(text.replace(",", "."));
}

@customElement("pantau-incident-dialog")
export class IncidentDialog extends LitElement {
  static override styles = [shared, form];

  @property({ attribute: false }) app!: App;
  /** What is changed; null opens a new one. */
  @property({ attribute: false }) incident: Incident | null = null;
  @state() private heading = "";
  @state() private notes = "";
  @state() private from = "";
  @state() private to = "";
  @state() private ongoing = false;
  @state() private hold = "";
  @state() private chosen: ReadonlySet<string> = new Set();
  @state() private problem = "";
  @state() private busy = false;

  constructor() {
    super();
    new Watch(this, () => []);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    const { incident, app } = this;
    const { playback, wall } = app;
    const now = siteNow();
    const meant = footageRange(incident, playback.range.value, playback.nowMs(), now);
    const range = incident ? meant : wholeSeconds(meant, now);
    this.heading = incident?.title ?? "";
    this.notes = incident?.notes ?? "";
    this.hold = incident?.hold_days === null || incident === null ? "" : String(incident.hold_days);
    this.from = momentText(range.fromMs);
    this.to = momentText(range.toMs);
    // An incident that is opened from the live wall is happening now.
    this.ongoing = incident ? incident.to_us === null : !playback.active && playback.range.value === null;
    this.chosen = new Set(incident?.cameras ?? meantCameras(wall.value));
  }

  private get holdDays(): number | null {
    return this.hold.trim() === "" ? null : days(this.hold);
  }

  /** Where fewer days are given than this person may give: how many it takes. */
  private get leastDays(): number | null {
    const { app, incident } = this;
    if (incident === null || app.may("supervisor") || !validHold(this.hold)) return null;
    return tooShort(incident.hold_days, this.holdDays, app.holdDays);
  }

  private shorterText(least: number): string {
    return t("incidents.hold.shorter", { days: new Intl.NumberFormat(localeOf(language.value)).format(least) });
  }

  private readonly close = () =>
    this.app.show({ dialog: this.incident ? { kind: "incident-page", id: this.incident.id } : null });

  private async submit(): Promise<void> {
    const fromMs = parseMoment(this.from);
    const toMs = this.ongoing ? null : parseMoment(this.to);
    const endMissing = !this.ongoing && (toMs === null || (fromMs !== null && toMs <= fromMs));
    if (!this.heading.trim()) this.problem = `${t("incidents.name")}: ${t("form.required")}`;
    else if (fromMs === null || endMissing) this.problem = t("export.bad-range");
    else if (this.chosen.size === 0) this.problem = t("export.no-camera");
    else if (!validHold(this.hold)) this.problem = t("incidents.hold.bad");
    else if (this.leastDays !== null) this.problem = this.shorterText(this.leastDays);
    else {
      const fields = {
        title: this.heading.trim(),
        cameras: [...this.chosen],
        from_us: fromMs * 1000,
        to_us: toMs === null ? null : toMs * 1000,
        notes: this.notes,
        hold_days: this.holdDays,
      };
      await this.save(fields);
    }
  }

  private async save(fields: IncidentFields): Promise<void> {
    this.busy = true;
    this.problem = "";
    const { api } = this.app;
    const { incident } = this;
    try {
      await (incident ? api.updateIncident(incident.id, changesOf(incident, fields)) : api.openIncident(fields));
      this.app.refreshIncidents();
      this.app.show({ incidents: true });
      this.close();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.problem = t("dialog.failed", { detail: problemText(error) });
    } finally {
      this.busy = false;
    }
  }

  private moment(name: "from" | "to", disabled = false): TemplateResult {
    const change = (value: string) => {
      this[name] = value;
    };
    return momentInput(name, this[name], change, disabled);
  }

  override render(): TemplateResult {
    const title = this.incident ? t("incidents.edit") : t("incidents.new");
    return html`<pantau-modal .heading=${title} @close=${this.close}>
      <div class="fields">
        <label>
          ${t("incidents.name")}
          <input name="title" maxlength="200" .value=${this.heading} autofocus
            @input=${(event: Event) => {
              this.heading = (event.target as HTMLInputElement).value;
            }} />
        </label>
        <div class="row">${this.moment("from")} ${this.moment("to", this.ongoing)}</div>
        <label class="check">
          <input type="checkbox" name="ongoing" .checked=${this.ongoing}
            @change=${(event: Event) => {
              this.ongoing = (event.target as HTMLInputElement).checked;
            }} />
          ${t("incidents.ongoing")}
        </label>
        <pantau-camera-choice .app=${this.app} .chosen=${this.chosen}
          @change=${(event: CustomEvent<ReadonlySet<string>>) => {
            this.chosen = event.detail;
          }}></pantau-camera-choice>
        <label>
          ${t("incidents.notes")}
          <textarea name="notes" maxlength="20000" .value=${this.notes}
            @input=${(event: Event) => {
              this.notes = (event.target as HTMLTextAreaElement).value;
            }}></textarea>
        </label>
        <label>
          ${t("incidents.hold")}
          <input name="hold" inputmode="numeric" autocomplete="off" .value=${this.hold}
            aria-invalid=${!validHold(this.hold) || this.leastDays !== null}
            @input=${(event: Event) => {
              this.hold = (event.target as HTMLInputElement).value;
            }} />
          ${
            this.leastDays === null
              ? html`<span class="hint">${t("incidents.hold.hint")}</span>`
              : html`<span class="error" role="alert">${this.shorterText(this.leastDays)}</span>`
          }
        </label>
        ${this.problem ? html`<span class="error" role="alert">${this.problem}</span>` : nothing}
      </div>
      <button slot="actions" class="plain" @click=${this.close}>${t("dialog.cancel")}</button>
      <button slot="actions" class="primary" ?disabled=${this.busy} @click=${() => this.submit()}>
        ${t(this.incident ? "dialog.save" : "incidents.create")}
      </button>
    </pantau-modal>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-incident-dialog": IncidentDialog;
  }
}
