/** The incidents, open ones first; each has a page of its own. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import type { Incident } from "../api/generated.js";
import type { App } from "../app/app.js";
import { language, t } from "../i18n/index.js";
import { dateTime, duration } from "../model/format.js";
import { icon } from "./icons.js";
import { incidentState } from "./incident-page.js";
import { shared, sidePanel } from "./styles.js";
import { Watch } from "./watch.js";

@customElement("pantau-incidents-panel")
export class IncidentsPanel extends LitElement {
  static override styles = [
    shared,
    sidePanel,
    css`
      :host {
        --panel-width: 340px;
      }
      .head {
        padding-bottom: 10px;
      }
      .list {
        flex: 1;
        min-height: 0;
        padding: 0 10px 10px;
      }
      article {
        display: grid;
        gap: 5px;
        margin-bottom: 8px;
        padding: 11px 12px;
        border: 1px solid var(--line);
        border-left: 3px solid var(--warn);
        border-radius: 7px;
        background: var(--ground);
      }
      article.closed {
        border-left-color: var(--line);
      }
      h3 {
        margin: 0;
        font-size: 15.5px;
        font-weight: 600;
        overflow-wrap: anywhere;
      }
      .meta {
        color: var(--text-soft);
        font-size: 13.5px;
        font-variant-numeric: tabular-nums;
      }
      .state {
        color: var(--warn);
        font-size: 13px;
      }
      .closed .state {
        color: var(--text-dim);
      }
      p {
        margin: 0;
        font-size: 14px;
        white-space: pre-line;
        overflow-wrap: anywhere;
      }
      .actions {
        display: flex;
        flex-wrap: wrap;
        gap: 4px;
        margin-top: 4px;
      }
      .actions button {
        min-height: 30px;
        padding: 2px 9px;
        font-size: 13.5px;
      }
      .empty {
        margin: 20px 10px;
        color: var(--text-soft);
      }
    `,
  ];

  @property({ attribute: false }) app!: App;

  constructor() {
    super();
    new Watch(this, () => [this.app.incidents, this.app.cameras, this.app.me]);
  }

  private actions(incident: Incident): TemplateResult {
    return html`<div class="actions">
      <button class="plain" @click=${() => this.app.show({ dialog: { kind: "incident-page", id: incident.id } })}>
        ${t("incidents.page")}
      </button>
      <button @click=${() => this.app.showIncident(incident)}>${t("incidents.show")}</button>
    </div>`;
  }

  private card(incident: Incident): TemplateResult {
    const names = incident.cameras.map((id) => this.app.camera(id)?.name ?? id);
    const from = dateTime(incident.from_us / 1000, language.value);
    const length =
      incident.to_us === null ? t("incidents.ongoing") : duration((incident.to_us - incident.from_us) / 1000);
    return html`<article class=${incident.status}>
      <span class="state">${incidentState(incident)}</span>
      <h3>${incident.title}</h3>
      <span class="meta">${from} · ${length}</span>
      <span class="meta" title=${names.join("\n")}>
        ${names.length <= 3 ? names.join(", ") : t("incidents.cameras", { count: names.length })}
        ${incident.created_by ? html` · ${t("incidents.by", { name: incident.created_by })}` : nothing}
      </span>
      ${incident.notes ? html`<p>${incident.notes}</p>` : nothing} ${this.actions(incident)}
    </article>`;
  }

  private cards(): TemplateResult {
    const incidents = this.app.incidents.value;
    if (incidents === null) return html`<p class="empty" role="status">${t("incidents.loading")}</p>`;
    if (incidents.length === 0) return html`<p class="empty">${t("incidents.none")}</p>`;
    const sorted = [...incidents].sort(
      (a, b) => Number(b.status === "open") - Number(a.status === "open") || b.created_us - a.created_us,
    );
    return html`${sorted.map((incident) => this.card(incident))}`;
  }

  override render(): TemplateResult {
    return html`
      <div class="head">
        <h2>${t("incidents.title")}</h2>
        ${
          this.app.may("operator")
            ? html`<button class="plain" @click=${() => this.app.show({ dialog: { kind: "incident", incident: null } })}>
                ${icon("plus")}${t("incidents.new")}
              </button>`
            : nothing
        }
        <button class="icon-only" aria-label=${t("dialog.close")} title=${t("dialog.close")}
          @click=${() => this.app.show({ incidents: false })}>${icon("close")}</button>
      </div>
      <div class="list scroll">${this.cards()}</div>
    `;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-incidents-panel": IncidentsPanel;
  }
}
