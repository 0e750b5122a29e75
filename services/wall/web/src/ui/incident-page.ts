/** An incident's page: what it is about, what people wrote and did, its exports, and its end. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { ApiError } from "../api/client.js";
import type { Incident, IncidentStep } from "../api/generated.js";
import type { App } from "../app/app.js";
import { copyText } from "../app/copy-text.js";
import { problemText } from "../app/problem.js";
import { isMessageKey, language, t } from "../i18n/index.js";
import { dateTime, duration, sinceTime } from "../model/format.js";
import { siteNow } from "../model/site-clock.js";
import { icon } from "./icons.js";
import { form, shared } from "./styles.js";
import { Watch } from "./watch.js";
import "./exports-tray.js";
import "./modal.js";

/** The whole state in words: open and held, or closed and held until when. */
export function incidentState(incident: Incident): string {
  if (incident.status === "open") return `${t("incidents.open")} · ${t("incidents.held")}`;
  const until = incident.release_us;
  if (until === null || until < siteNow() * 1000) return t("incidents.closed");
  return `${t("incidents.closed")} · ${t("incidents.release", { time: dateTime(until / 1000, language.value) })}`;
}

@customElement("pantau-incident-page")
export class IncidentPage extends LitElement {
  static override styles = [
    shared,
    form,
    css`
      pantau-modal {
        --modal-width: 1080px;
      }
      .page {
        display: grid;
        grid-template-columns: minmax(0, 3fr) minmax(0, 2fr);
        gap: 18px 28px;
      }
      h3 {
        margin: 0 0 6px;
        color: var(--text-soft);
        font-size: 14px;
        font-weight: 600;
      }
      .column {
        display: grid;
        align-content: start;
        gap: 18px;
        min-width: 0;
      }
      .state {
        color: var(--text-soft);
      }
      .open {
        color: var(--warn);
      }
      p,
      ul,
      ol {
        margin: 0;
        overflow-wrap: anywhere;
      }
      p {
        white-space: pre-line;
      }
      .cameras {
        display: grid;
        grid-template-columns: repeat(auto-fill, minmax(180px, 1fr));
        gap: 4px 14px;
        padding: 0;
        list-style: none;
      }
      ol {
        display: grid;
        gap: 10px;
        padding: 0;
        list-style: none;
      }
      .by {
        color: var(--text-soft);
        font-size: 13.5px;
        font-variant-numeric: tabular-nums;
      }
      .history {
        gap: 4px;
        max-height: 240px;
        font-size: 14px;
      }
      .actions {
        display: flex;
        flex-wrap: wrap;
        gap: 8px;
        margin-top: 10px;
      }
      .write {
        display: grid;
        gap: 8px;
        margin-top: 10px;
      }
      .write button {
        justify-self: start;
      }
      pantau-exports-tray {
        --exports-height: 220px;
      }
      a.button {
        display: inline-flex;
        align-items: center;
        gap: 6px;
        min-height: 34px;
        padding: 4px 10px;
        border: 1px solid var(--line);
        border-radius: 6px;
        color: var(--text);
        text-decoration: none;
      }
      .sure {
        display: flex;
        flex: 1;
        align-items: center;
        gap: 8px;
      }
      .sure span {
        flex: 1;
      }
      @media (max-width: 760px) {
        .page {
          grid-template-columns: minmax(0, 1fr);
        }
      }
    `,
  ];

  @property({ attribute: false }) app!: App;
  @property({ attribute: false }) incidentId = "";
  @state() private remark = "";
  @state() private problem = "";
  @state() private busy = false;
  @state() private closing = false;
  @state() private copied = false;

  constructor() {
    super();
    new Watch(this, () => [this.app.incidents, this.app.cameras, this.app.me, this.app.exports.jobs]);
  }

  private readonly close = () => this.app.show({ dialog: null });

  private async ask(question: () => Promise<unknown>): Promise<boolean> {
    this.busy = true;
    this.problem = "";
    try {
      await question();
      this.app.refreshIncidents();
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.problem = t("dialog.failed", { detail: problemText(error) });
      return false;
    } finally {
      this.busy = false;
    }
  }

  private async addRemark(): Promise<void> {
    const text = this.remark.trim();
    if (text !== "" && (await this.ask(() => this.app.api.addRemark(this.incidentId, text)))) this.remark = "";
  }

  private async end(): Promise<void> {
    if (await this.ask(() => this.app.api.closeIncident(this.incidentId))) this.closing = false;
  }

  private async copyLink(): Promise<void> {
    const link = `${location.origin}${location.pathname}#incident=${this.incidentId}`;
    this.copied = await copyText(link);
    // What cannot be copied is then in the address bar.
    if (!this.copied) location.hash = `incident=${this.incidentId}`;
  }

  private about(incident: Incident): TemplateResult {
    const from = dateTime(incident.from_us / 1000, language.value);
    const length =
      incident.to_us === null
        ? t("incidents.ongoing")
        : `${dateTime(incident.to_us / 1000, language.value)} (${duration((incident.to_us - incident.from_us) / 1000)})`;
    const hold =
      incident.hold_days === null ? t("incidents.hold.site") : t("incidents.hold.days", { days: incident.hold_days });
    return html`<section>
      <p class="state ${incident.status}">${incidentState(incident)}</p>
      <p>${from} – ${length}</p>
      <p class="by">${t("incidents.by", { name: incident.created_by })} · ${hold}</p>
      ${incident.notes ? html`<p>${incident.notes}</p>` : nothing}
    </section>`;
  }

  private cameras(incident: Incident): TemplateResult {
    return html`<section>
      <h3>${t("incidents.cameras", { count: incident.cameras.length })}</h3>
      <ul class="cameras">
        ${incident.cameras.map((id) => html`<li>${this.app.camera(id)?.name ?? id}</li>`)}
      </ul>
      <div class="actions">
        <button class="plain" @click=${() => this.app.showIncident(incident)}>
          ${icon("play")}${t("incidents.show")}
        </button>
        ${
          this.app.may("operator")
            ? html`<button class="plain" @click=${() => this.app.show({ dialog: { kind: "incident", incident } })}>
                ${icon("edit")}${t("incidents.edit")}
              </button>`
            : nothing
        }
        <button class="plain" @click=${() => this.copyLink()}>
          ${icon("link")}${t(this.copied ? "incidents.link.copied" : "incidents.link")}
        </button>
      </div>
    </section>`;
  }

  private remarks(incident: Incident): TemplateResult {
    const now = siteNow();
    return html`<section>
      <h3>${t("incidents.remarks")}</h3>
      <ol>
        ${incident.remarks.map(
          ({ at_us, by, text }) => html`<li>
            <span class="by">${by} · ${sinceTime(at_us / 1000, now, language.value)}</span>
            <p>${text}</p>
          </li>`,
        )}
      </ol>
      ${
        this.app.may("operator")
          ? html`<div class="write">
              <label>
                ${t("incidents.remark")}
                <textarea name="remark" maxlength="2000" .value=${this.remark}
                  @input=${(event: Event) => {
                    this.remark = (event.target as HTMLTextAreaElement).value;
                  }}></textarea>
              </label>
              <button class="plain" ?disabled=${this.busy || this.remark.trim() === ""} @click=${() => this.addRemark()}>
                ${t("incidents.remark.add")}
              </button>
            </div>`
          : nothing
      }
    </section>`;
  }

  private exports(incident: Incident): TemplateResult | typeof nothing {
    if (!this.app.may("operator")) return nothing;
    return html`<section>
      <h3>${t("exports.title")}</h3>
      <pantau-exports-tray .app=${this.app} .incident=${incident.id}></pantau-exports-tray>
      <div class="actions">
        <button class="plain" @click=${() => this.app.show({ dialog: { kind: "export", incident } })}>
          ${icon("export")}${t("incidents.export")}
        </button>
        <a class="button" href=${this.app.api.incidentReportUrl(incident.id)} download>
          ${icon("sheet")}${t("incidents.report")}
        </a>
      </div>
    </section>`;
  }

  private step({ at_us, by, action, fields }: IncidentStep): TemplateResult {
    const names = fields.map((field) => `incidents.field.${field}`).map((key) => (isMessageKey(key) ? t(key) : ""));
    const what = names.filter(Boolean).join(", ");
    return html`<li>
      <span class="by">${sinceTime(at_us / 1000, siteNow(), language.value)} · ${by}</span>
      ${t(`incidents.step.${action}`)}${what ? html`: ${what}` : nothing}
    </li>`;
  }

  private ending(incident: Incident): TemplateResult {
    if (this.closing) {
      return html`<div slot="actions" class="sure">
        <span>${t("incidents.close.sure", { title: incident.title })}</span>
        <button class="plain" @click=${() => {
          this.closing = false;
        }}>${t("dialog.cancel")}</button>
        <button class="danger" ?disabled=${this.busy} @click=${() => this.end()}>${t("incidents.close")}</button>
      </div>`;
    }
    const open = incident.status === "open";
    return html`
      ${
        this.app.may("supervisor")
          ? open
            ? html`<button slot="actions" class="danger" @click=${() => {
                this.closing = true;
              }}>${t("incidents.close")}</button>`
            : html`<button slot="actions" class="plain" ?disabled=${this.busy}
                @click=${() => this.ask(() => this.app.api.reopenIncident(incident.id))}>${t("incidents.reopen")}</button>`
          : nothing
      }
      <button slot="actions" class="primary" @click=${this.close}>${t("dialog.close")}</button>`;
  }

  override render(): TemplateResult {
    const incidents = this.app.incidents.value;
    const incident = incidents?.find(({ id }) => id === this.incidentId);
    if (!incident) {
      return html`<pantau-modal .heading=${t("incidents.title")} .actions=${false} @close=${this.close}>
        <p role="status">${t(incidents === null ? "incidents.loading" : "problem.not-found")}</p>
      </pantau-modal>`;
    }
    return html`<pantau-modal .heading=${incident.title} @close=${this.close}>
      <div class="page">
        <div class="column">${this.about(incident)} ${this.cameras(incident)} ${this.exports(incident)}</div>
        <div class="column">
          ${this.remarks(incident)}
          <section>
            <h3>${t("incidents.history")}</h3>
            <ol class="history scroll" tabindex="0" aria-label=${t("incidents.history")}>
              ${[...incident.history].reverse().map((step) => this.step(step))}
            </ol>
          </section>
        </div>
      </div>
      ${this.problem ? html`<p class="error" role="alert">${this.problem}</p>` : nothing}
      ${this.ending(incident)}
    </pantau-modal>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-incident-page": IncidentPage;
  }
}
