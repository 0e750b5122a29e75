/** Who saw, exported or changed what and when, as a table and as CSV, and the signed daily digests of it. */

import { html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import type { AuditEntry, AuditView, DigestEntry } from "../api/generated.js";
import type { App } from "../app/app.js";
import { isMessageKey, language, t } from "../i18n/index.js";
import { validRange } from "../model/footage.js";
import { dateTime } from "../model/format.js";
import { momentText, parseMoment } from "../model/moment.js";
import {
  AUDIT_CSV_MOST,
  AUDIT_KINDS,
  AUDIT_SHOWN,
  type AuditFilter,
  type AuditKind,
  auditQuery,
  auditSpan,
} from "../model/people.js";
import { siteNow } from "../model/site-clock.js";
import { Asking } from "./asking.js";
import { icon } from "./icons.js";
import { momentInput } from "./moment-input.js";
import { people, peopleTable, peopleTabs } from "./people-tabs.js";
import { form, shared } from "./styles.js";
import { Watch } from "./watch.js";
import "./modal.js";

const LIVE_MS = 86_400_000;
const AROUND_MS = 300_000;

@customElement("pantau-audit-dialog")
export class AuditDialog extends LitElement {
  static override styles = [shared, form, people];

  @property({ attribute: false }) app!: App;
  @property({ attribute: false }) camera: string | null = null;
  @property({ attribute: false }) person: string | null = null;
  @state() private from = "";
  @state() private to = "";
  @state() private kind: AuditKind = "all";
  @state() private found: AuditView | null = null;
  @state() private digests: readonly DigestEntry[] | null = null;
  private readonly asking = new Asking(this);

  constructor() {
    super();
    new Watch(this, () => [this.app.cameras]);
  }

  /** Around the moment that is played, else the last day. */
  override connectedCallback(): void {
    super.connectedCallback();
    const { playback } = this.app;
    const nowMs = siteNow();
    const atMs = playback.active ? playback.nowMs() : null;
    this.from = momentText(atMs === null ? nowMs - LIVE_MS : atMs - AROUND_MS);
    this.to = momentText(atMs === null ? nowMs + 1000 : atMs + AROUND_MS);
    if (this.camera !== null) this.kind = "watched";
    void this.look();
  }

  private get filter(): AuditFilter | null {
    const range = validRange(parseMoment(this.from), parseMoment(this.to));
    return range && { ...range, camera: this.camera ?? "", person: this.person ?? "", kind: this.kind };
  }

  private async look(): Promise<void> {
    const { filter } = this;
    if (filter === null) {
      this.asking.tell(t("export.bad-range"));
      return;
    }
    await this.asking.ask(async () => {
      this.found = await this.app.api.audit(auditQuery(filter, AUDIT_SHOWN));
    });
  }

  private async readDigests(): Promise<void> {
    await this.asking.ask(async () => {
      this.digests = await this.app.api.auditDigests();
    });
  }

  private filters(): TemplateResult {
    const { filter } = this;
    const text = (event: Event) => (event.target as HTMLInputElement).value;
    return html`<form novalidate @submit=${(event: Event) => {
      event.preventDefault();
      void this.look();
    }}>
      <div class="three">
        <label>
          ${t("grants.camera")}
          <input name="camera" list="audit-cameras" autocomplete="off" spellcheck="false" placeholder=${t("grants.any")}
            .value=${this.camera ?? ""} @change=${(event: Event) => {
              this.camera = text(event);
            }} />
          <datalist id="audit-cameras">
            ${[...(this.app.cameras.value?.values() ?? [])].map(
              ({ id, name }) => html`<option value=${id}>${name}</option>`,
            )}
          </datalist>
        </label>
        <label>
          ${t("audit.person")}
          <input name="person" autocomplete="off" spellcheck="false" maxlength="64" placeholder=${t("audit.anybody")}
            .value=${this.person ?? ""} @change=${(event: Event) => {
              this.person = text(event);
            }} />
        </label>
        <label>
          ${t("audit.kind")}
          <select name="kind" @change=${(event: Event) => {
            this.kind = text(event) as AuditKind;
          }}>
            ${(Object.keys(AUDIT_KINDS) as AuditKind[]).map(
              (kind) => html`<option value=${kind} ?selected=${kind === this.kind}>${t(`audit.kind.${kind}`)}</option>`,
            )}
          </select>
        </label>
        ${momentInput("from", this.from, (value) => {
          this.from = value;
        })}
        ${momentInput("to", this.to, (value) => {
          this.to = value;
        })}
      </div>
      <div class="actions">
        <button class="primary" ?disabled=${this.asking.busy}>${icon("search")}${t("audit.look")}</button>
        ${
          filter
            ? html`<a href=${this.app.api.auditCsvUrl(auditQuery(filter, AUDIT_CSV_MOST))} download="pantau-audit.csv">
                ${t("audit.csv")}
              </a>`
            : nothing
        }
      </div>
    </form>`;
  }

  private when(entry: AuditEntry): string {
    const [fromMs, toMs] = auditSpan(entry);
    const from = dateTime(fromMs, language.value);
    if (toMs === null) return `${from} – ${t("audit.goes-on")}`;
    return toMs === fromMs ? from : `${from} – ${dateTime(toMs, language.value)}`;
  }

  private row(entry: AuditEntry): TemplateResult {
    const action = `audit.action.${entry.action}`;
    const role = `role.${entry.role}`;
    const detail = Object.entries(entry.detail).map(([name, value]) => `${name}: ${value}`);
    return html`<tr>
      <td>${this.when(entry)}</td>
      <td>${entry.person}<br /><span class="meta">${isMessageKey(role) ? t(role) : entry.role}</span></td>
      <td>${isMessageKey(action) ? t(action) : entry.action}</td>
      <td>${this.app.camera(entry.target)?.name ?? entry.target}</td>
      <td>${entry.address}</td>
      <td class="meta">${detail.join(" · ")}</td>
    </tr>`;
  }

  private entries({ entries, complete }: AuditView): TemplateResult {
    if (entries.length === 0) return html`<p role="status">${t("audit.none")}</p>`;
    const headings = ["when", "person", "what", "target", "address", "detail"] as const;
    return html`
      <p role="status" class=${complete ? "meta" : "warn"}>
        ${t(complete ? "audit.count" : "audit.more", { count: entries.length })}
      </p>
      ${peopleTable(
        t("people.audit"),
        headings.map((name) => t(`audit.${name}`)),
        entries.map((entry) => this.row(entry)),
        { actions: false },
      )}`;
  }

  private digestRow({ day, entries, signed, matches, recorder, sha256 }: DigestEntry): TemplateResult {
    const mark = (well: boolean, good: "audit.signed" | "audit.matches", bad: "audit.unsigned" | "audit.altered") =>
      html`<span class=${well ? "done" : "error"}>${icon(well ? "check" : "warning")} ${t(well ? good : bad)}</span>`;
    return html`<tr>
      <th scope="row">${day}</th>
      <td>${entries}</td>
      <td>${mark(signed, "audit.signed", "audit.unsigned")}<br /><span class="meta">${recorder}</span></td>
      <td>${mark(matches, "audit.matches", "audit.altered")}</td>
      <td><code>${sha256.slice(0, 16)}…</code></td>
    </tr>`;
  }

  private digestTable(): TemplateResult {
    const { digests } = this;
    if (digests === null) {
      return html`<div>
        <button class="plain" ?disabled=${this.asking.busy} @click=${() => this.readDigests()}>
          ${icon("check")}${t("audit.check")}
        </button>
      </div>`;
    }
    if (digests.length === 0) return html`<p role="status">${t("audit.no-digest")}</p>`;
    const headings = ["day", "entries", "signature", "kept", "hash"] as const;
    return peopleTable(
      t("audit.digests"),
      headings.map((name) => t(`audit.${name}`)),
      [...digests].reverse().map((digest) => this.digestRow(digest)),
      { actions: false },
    );
  }

  override render(): TemplateResult {
    const looking = this.asking.busy ? html`<p role="status">${t("audit.looking")}</p>` : nothing;
    return html`<pantau-modal .heading=${t("people.audit")} .actions=${false}
      @close=${() => this.app.show({ dialog: null })}>
      ${peopleTabs(this.app, "audit")} ${this.filters()} ${this.asking.line()}
      <section>${this.found === null ? looking : this.entries(this.found)}</section>
      <section>
        <h3>${t("audit.digests")}</h3>
        <p class="meta">${t("audit.digests.hint")}</p>
        ${this.digestTable()}
      </section>
    </pantau-modal>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-audit-dialog": AuditDialog;
  }
}
