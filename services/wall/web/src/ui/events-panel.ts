/** The feed of events: what happened, how loud, and who has seen it. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { ApiError } from "../api/client.js";
import type { EventView } from "../api/generated.js";
import type { App } from "../app/app.js";
import { problemText } from "../app/problem.js";
import { causeText, isMessageKey, language, t } from "../i18n/index.js";
import {
  type EventGroup,
  type EventKindFilter,
  type FeedFilter,
  filtered,
  grouped,
  isAboutCamera,
  loudnessOf,
  waits,
} from "../model/event-feed.js";
import { sinceTime } from "../model/format.js";
import { siteNow } from "../model/site-clock.js";
import { icon } from "./icons.js";
import { form, shared, sidePanel } from "./styles.js";
import { Watch } from "./watch.js";

const KINDS: readonly EventKindFilter[] = ["all", "camera", "recording", "incident"];

@customElement("pantau-events-panel")
export class EventsPanel extends LitElement {
  static override styles = [
    shared,
    form,
    sidePanel,
    css`
      .filters {
        display: grid;
        gap: 6px;
        padding: 0 12px 8px;
      }
      .kinds {
        display: flex;
        flex-wrap: wrap;
        gap: 2px;
      }
      .kinds button {
        min-height: 30px;
        padding: 2px 8px;
        font-size: 13.5px;
      }
      ul {
        flex: 1;
        min-height: 0;
        margin: 0;
        padding: 0 10px 10px;
        list-style: none;
      }
      li {
        display: grid;
        grid-template-columns: minmax(0, 1fr) auto;
        gap: 2px 8px;
        align-items: start;
        margin-bottom: 4px;
        padding: 8px 8px 8px 10px;
        border-left: 3px solid transparent;
        border-radius: 4px;
      }
      li.warn {
        border-left-color: var(--warn);
        background: var(--ground);
      }
      li.fault {
        border-left-color: var(--fault);
        background: var(--ground);
      }
      .what {
        overflow-wrap: anywhere;
      }
      .fault .what b {
        color: var(--fault);
      }
      .warn .what b {
        color: var(--warn);
      }
      b {
        font-weight: 600;
      }
      .meta {
        grid-column: 1;
        color: var(--text-soft);
        font-size: 13.5px;
        font-variant-numeric: tabular-nums;
      }
      .name {
        padding: 0;
        min-height: 24px;
        color: var(--text);
        white-space: normal;
        text-align: left;
        overflow-wrap: anywhere;
      }
      .empty,
      .error {
        margin: 12px 16px;
      }
      .empty {
        color: var(--text-soft);
      }
    `,
  ];

  @property({ attribute: false }) app!: App;
  @state() private filter: FeedFilter = { kind: "all", waitingOnly: false, query: "" };
  @state() private problem = "";

  constructor() {
    super();
    new Watch(this, () => [this.app.feed.events, this.app.feed.sound, this.app.cameras, this.app.me]);
  }

  private async acknowledge(events: readonly EventView[]): Promise<void> {
    try {
      await this.app.feed.acknowledge(events);
      this.problem = "";
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.problem = t("dialog.failed", { detail: problemText(error) });
    }
  }

  /** The camera on the wall at that moment, or the incident's page. */
  private open({ type, subject, at }: EventView): void {
    const { app } = this;
    if (type.startsWith("incident.")) app.show({ dialog: { kind: "incident-page", id: subject } });
    else {
      app.place(subject);
      if (type === "camera.offline" || type === "recording.gap") app.goTo(subject, Date.parse(at) - BEFORE_MS);
    }
  }

  private name({ type, subject, title }: EventView): string {
    if (type.startsWith("incident.")) return title || subject;
    return (isAboutCamera(type) && this.app.camera(subject)?.name) || subject;
  }

  private row(group: EventGroup): TemplateResult {
    const { last, waiting, events } = group;
    const key = `event.${last.type}`;
    const loud = waiting.length > 0 ? loudnessOf((waiting[0] as EventView).type) : "quiet";
    const seen = events.find((event) => event.seen !== null)?.seen;
    const now = siteNow();
    const canOpen =
      last.type.startsWith("incident.") || (isAboutCamera(last.type) && this.app.camera(last.subject) !== undefined);
    return html`<li class=${loud}>
      <span class="what">
        <b>${isMessageKey(key) ? t(key) : last.type}</b>
        ${last.reason ? html`<span class="reason">· ${causeText(last.reason)}</span>` : nothing}
      </span>
      ${
        waiting.length > 0 && this.app.may("operator")
          ? html`<button class="plain" @click=${() => this.acknowledge(waiting)}
              aria-label=${t("events.acknowledge.of", { name: this.name(last) })}>${t("events.acknowledge")}</button>`
          : nothing
      }
      <span class="meta">
        ${
          canOpen
            ? html`<button class="name" @click=${() => this.open(last)}>${this.name(last)}</button>`
            : this.name(last)
        }
      </span>
      <span class="meta">
        ${sinceTime(Date.parse(last.at), now, language.value)}
        ${events.length > 1 ? html` · ${t("events.count", { count: events.length })}` : nothing}
        ${last.actor ? html` · ${last.actor}` : nothing}
        ${seen ? html` · ${t("events.seen", { name: seen.by, time: sinceTime(Date.parse(seen.at), now, language.value) })}` : nothing}
      </span>
    </li>`;
  }

  private list(): TemplateResult {
    const events = this.app.feed.events.value;
    if (events === null) return html`<p class="empty" role="status">${t("events.loading")}</p>`;
    const found = filtered(grouped(events), this.filter, this.app.cameras.value ?? new Map());
    if (found.length === 0) return html`<p class="empty">${t("events.none")}</p>`;
    return html`<ul class="scroll" tabindex="0" aria-label=${t("bar.events")}>${found.map((group) => this.row(group))}</ul>`;
  }

  override render(): TemplateResult {
    const { feed } = this.app;
    const sound = feed.sound.value;
    const waiting = (feed.events.value ?? []).filter(waits);
    const change = (changes: Partial<FeedFilter>) => {
      this.filter = { ...this.filter, ...changes };
    };
    return html`
      <div class="head">
        <h2>${t("bar.events")}</h2>
        <button class="icon-only" aria-pressed=${sound} title=${t("events.sound")} aria-label=${t("events.sound")}
          @click=${() => feed.setSound(!sound)}>${icon(sound ? "sound" : "mute")}</button>
        <button class="icon-only" aria-label=${t("dialog.close")} title=${t("dialog.close")}
          @click=${() => this.app.show({ events: false })}>${icon("close")}</button>
      </div>
      <div class="filters">
        <input type="search" autocomplete="off" aria-label=${t("events.find")} placeholder=${t("events.find")}
          .value=${this.filter.query}
          @input=${(event: Event) => change({ query: (event.target as HTMLInputElement).value })} />
        <div class="kinds" role="group" aria-label=${t("events.kinds")}>
          ${KINDS.map(
            (kind) => html`<button aria-pressed=${this.filter.kind === kind} @click=${() => change({ kind })}>
              ${t(`events.kind.${kind}`)}
            </button>`,
          )}
        </div>
        <label class="check">
          <input type="checkbox" .checked=${this.filter.waitingOnly}
            @change=${(event: Event) => change({ waitingOnly: (event.target as HTMLInputElement).checked })} />
          ${t("events.waiting-only")}
        </label>
        ${
          waiting.length > 1 && this.app.may("operator")
            ? html`<button class="plain" @click=${() => this.acknowledge(waiting)}>
                ${icon("check")}${t("events.acknowledge.all", { count: waiting.length })}
              </button>`
            : nothing
        }
      </div>
      ${this.problem ? html`<p class="error" role="alert">${this.problem}</p>` : nothing}
      ${this.list()}
    `;
  }
}

/** What led to a loss is seen before it. */
const BEFORE_MS = 10_000;

declare global {
  interface HTMLElementTagNameMap {
    "pantau-events-panel": EventsPanel;
  }
}
