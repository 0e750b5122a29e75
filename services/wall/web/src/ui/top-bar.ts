/** The bar on top: layouts, panels, the link's quality, the time, and what concerns the page. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import type { App } from "../app/app.js";
import { isOver } from "../app/exports.js";
import { toggleFullscreen } from "../app/perform.js";
import type { Panel } from "../app/view.js";
import { chooseLanguage, language, t } from "../i18n/index.js";
import { grouped, type Loudness, loudest } from "../model/event-feed.js";
import { clockTime, dayDate, localeOf } from "../model/format.js";
import { siteNow } from "../model/site-clock.js";
import { beat } from "./beat.js";
import { icon } from "./icons.js";
import { shared } from "./styles.js";
import { Watch } from "./watch.js";
import "./grid-picker.js";

const SLOW_LOSS = 0.02;
/** Everybody's name on a wall without accounts. */
const LOCAL_NAME = "local";

/** A number on a button. */
interface Badge {
  count: number;
  text: string;
  tone: Loudness;
}

@customElement("pantau-top-bar")
export class TopBar extends LitElement {
  static override styles = [
    shared,
    css`
      :host {
        container-type: inline-size;
        display: flex;
        align-items: center;
        gap: 4px;
        padding: 5px 10px;
        background: var(--panel);
        border-bottom: 1px solid var(--line);
      }
      h1 {
        display: flex;
        align-items: center;
        gap: 9px;
        margin: 0 14px 0 4px;
        font-size: 18px;
        font-weight: 600;
        letter-spacing: 0.01em;
      }
      /* A wall's long name gives way, not the buttons beside it. */
      button {
        flex: none;
      }
      button.walls {
        flex: 0 100 auto;
        min-width: 60px;
      }
      .walls span {
        max-width: 220px;
        overflow: hidden;
        text-overflow: ellipsis;
      }
      .person {
        display: flex;
        align-items: center;
        gap: 4px;
        color: var(--text-soft);
      }
      .space {
        flex: 1;
      }
      .link {
        display: flex;
        align-items: center;
        gap: 7px;
        margin-right: 12px;
        color: var(--warn);
        font-size: 13.5px;
        font-variant-numeric: tabular-nums;
        min-width: 24px;
        max-height: 40px;
        overflow: hidden;
        text-overflow: ellipsis;
      }
      time {
        margin: 0 12px 0 4px;
        text-align: right;
        font-variant-numeric: tabular-nums;
        white-space: nowrap;
      }
      time b {
        font-size: 21px;
        font-weight: 600;
        letter-spacing: 0.02em;
      }
      time span {
        margin-right: 9px;
        color: var(--text-soft);
      }
      .count {
        min-width: 20px;
        padding: 0 6px;
        border-radius: 10px;
        background: var(--warn);
        color: var(--ground);
        font-size: 12.5px;
        font-weight: 600;
      }
      .count.quiet {
        background: var(--chosen);
        color: var(--text);
      }
      .count.fault {
        background: var(--fault);
      }
      .tools,
      .rest {
        display: contents;
      }
      /* After the link and the clock, which nobody reaches by Tab. */
      .page {
        display: flex;
        align-items: center;
        gap: 4px;
        order: 1;
      }
      .more {
        display: none;
      }
      /* Of the bar itself: a window's width knows no scale. All names fit on the widest alone. */
      @container (max-width: 2300px) {
        .rest .wide {
          display: none;
        }
      }
      @container (max-width: 1840px) {
        .wide {
          display: none;
        }
        button:has(.wide) {
          min-width: 36px;
          padding: 0 8px;
        }
      }
      @media (max-width: 760px) {
        /* Two rows: what the wall shows, and the tools; those needed now and then are behind the last one. */
        :host {
          flex-wrap: wrap;
          padding: 2px 6px;
        }
        h1 {
          margin: 0 4px;
          font-size: 0;
        }
        h1 img {
          width: 28px;
          height: 28px;
        }
        .walls span {
          max-width: 64px;
        }
        .tools {
          display: flex;
          justify-content: space-between;
          order: 1;
          width: 100%;
        }
        .more {
          display: inline-flex;
        }
        .rest:not(:popover-open) {
          display: none;
        }
        .rest:popover-open {
          position: fixed;
          inset: 98px 6px auto auto;
          display: grid;
          justify-items: stretch;
          gap: 2px;
          padding: 6px;
          border: 1px solid var(--line);
          border-radius: 10px;
          background: var(--panel);
          box-shadow: 0 8px 28px rgb(0 0 0 / 0.5);
        }
        .rest > button {
          justify-content: flex-start;
          color: var(--text);
        }
        .rest .wide {
          display: inline;
        }
        .rest .page {
          justify-content: space-between;
          padding-top: 4px;
          border-top: 1px solid var(--line);
        }
        time span {
          display: none;
        }
        /* The banner says it in words. */
        .link {
          margin-right: 0;
          font-size: 0;
        }
        time {
          margin: 0 4px;
        }
        time b {
          font-size: 18px;
        }
      }
    `,
  ];

  @property({ attribute: false }) app!: App;
  private shownSecond = 0;
  private unfollow: (() => void) | undefined;

  constructor() {
    super();
    new Watch(this, () => {
      const { wall, walls, view, keeper, incidents, me, server, support, feed, exports } = this.app;
      return [
        wall,
        walls.opened,
        view,
        keeper.quality,
        keeper.link,
        incidents,
        me,
        server,
        support,
        feed.events,
        exports.jobs,
      ];
    });
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.unfollow = beat.follow(() => this.look());
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.unfollow?.();
  }

  /** Renders where the clock shows another second. */
  private look(): void {
    if (Math.floor(siteNow() / 1000) !== this.shownSecond) this.requestUpdate();
  }

  private panelButton(panel: Panel, badge: Badge | null = null): TemplateResult {
    const names = {
      panel: t("bar.panel"),
      timeline: t("bar.timeline"),
      incidents: t("bar.incidents"),
      screens: t("bar.screens"),
      events: t("bar.events"),
      downloads: t("bar.downloads"),
      map: t("map.title"),
    };
    const icons = {
      panel: "panel",
      timeline: "timeline",
      incidents: "incident",
      screens: "screen",
      events: "events",
      downloads: "downloads",
      map: "map",
    } as const;
    const open = this.app.view.value[panel];
    const label = badge ? `${names[panel]} ${badge.count} (${badge.text})` : names[panel];
    return html`<button aria-pressed=${open} title=${label} aria-label=${label}
      @click=${() => this.app.toggle(panel)}>
      ${icon(icons[panel])}<span class="wide">${names[panel]}</span>
      ${badge ? html`<span class="count ${badge.tone}">${badge.count}</span>` : nothing}
    </button>`;
  }

  /** What is wrong with the way to the server; nothing while it is well. */
  private link(): TemplateResult | typeof nothing {
    const { keeper, server, link } = this.app;
    if (link.phase === "no-webrtc" || link.phase === "no-h264") {
      return html`<span class="link" role="status" title=${t("tile.browser")} aria-label=${t("tile.browser")}>
        ${icon("warning")}
      </span>`;
    }
    const open = link.phase === "open" && server.value.answers;
    if (!open) return html`<span class="link" role="status">${icon("link-lost")}${t("bar.reconnecting")}</span>`;
    const quality = keeper.quality.value;
    if (!quality || quality.loss < SLOW_LOSS) return nothing;
    const locale = localeOf(language.value);
    const digits = quality.loss < 0.1 ? 1 : 0;
    const percent = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: digits });
    const loss = percent.format(quality.loss);
    return html`<span class="link" role="status">${icon("warning")}${t("bar.link.slow", { loss })}</span>`;
  }

  /** Who is signed in, and signing out where there are accounts. */
  private person(): TemplateResult | typeof nothing {
    const me = this.app.me.value;
    if (!me || me.name === LOCAL_NAME) return nothing;
    const who = t("bar.person", { name: me.name, role: t(`role.${me.role}`) });
    return html`<form class="person" method="post" action="/sign-out">
      <button type="button" title=${who} aria-haspopup="dialog"
        @click=${() => this.app.show({ dialog: { kind: "account" } })}>${icon("person")}${me.name}</button>
      <button title=${t("bar.sign-out.of", { name: me.name })} aria-label=${t("bar.sign-out.of", { name: me.name })}>${t("bar.sign-out")}</button>
    </form>`;
  }

  private eventBadge(): Badge | null {
    const events = this.app.feed.events.value ?? [];
    const waiting = grouped(events).filter((group) => group.waiting.length > 0).length;
    if (waiting === 0) return null;
    return { count: waiting, text: t("bar.events.waiting", { count: waiting }), tone: loudest(events) ?? "quiet" };
  }

  private exportBadge(): Badge | null {
    const count = this.app.exports.jobs.value.filter((job) => !isOver(job)).length;
    return count === 0 ? null : { count, text: t("exports.making"), tone: "quiet" };
  }

  /** On a phone the rest of the tools is a card, which closes when one was chosen. */
  private readonly closeRest = (event: Event) => {
    const card = event.currentTarget as HTMLElement;
    if (card.matches(":popover-open")) card.hidePopover();
  };

  override render(): TemplateResult {
    const now = siteNow();
    this.shownSecond = Math.floor(now / 1000);
    const open = this.app.incidents.value?.filter((incident) => incident.status === "open").length ?? 0;
    const badge: Badge | null =
      open > 0 ? { count: open, text: t("bar.incidents.open", { count: open }), tone: "warn" } : null;
    const other = language.value === "id" ? "en" : "id";
    return html`
      <h1><img src="/icon.svg" width="24" height="24" alt="" />Pantau</h1>
      ${this.panelButton("panel")}
      <button class="walls" title=${t("bar.walls")} aria-label=${t("bar.walls")}
        @click=${() => this.app.show({ dialog: { kind: "walls" } })}>
        ${icon("walls")}<span>${this.app.walls.shownName ?? t("bar.walls")}</span>
      </button>
      <pantau-grid-picker .app=${this.app}></pantau-grid-picker>
      <div class="tools">
      <button title=${t("place.title")} aria-label=${t("place.title")}
        @click=${() => this.app.show({ dialog: { kind: "place" } })}>
        ${icon("place")}<span class="wide">${t("place.title")}</span>
      </button>
      ${this.panelButton("map")} ${this.panelButton("timeline")} ${this.panelButton("events", this.eventBadge())}
      ${this.panelButton("incidents", badge)}
      <button class="more" popovertarget="rest" title=${t("bar.more")} aria-label=${t("bar.more")}>${icon("more")}</button>
      <div id="rest" class="rest" popover @click=${this.closeRest}>
      <button title=${t("health.title")} aria-label=${t("health.title")}
        @click=${() => this.app.show({ dialog: { kind: "health" } })}>
        ${icon("health")}<span class="wide">${t("health.title")}</span>
      </button>
      ${this.app.may("operator") ? this.panelButton("screens") : nothing}
      ${
        this.app.may("operator")
          ? html`<button title=${t("bar.coverage")} aria-label=${t("bar.coverage")}
              @click=${() => this.app.show({ dialog: { kind: "coverage" } })}>
              ${icon("coverage")}<span class="wide">${t("bar.coverage")}</span>
            </button>`
          : nothing
      }
      ${this.app.may("operator") ? this.panelButton("downloads", this.exportBadge()) : nothing}
      ${
        this.app.may("supervisor")
          ? html`<button title=${t("people.title")} aria-label=${t("people.title")}
              @click=${() => this.app.show({ dialog: this.app.may("admin") ? { kind: "accounts", account: null } : { kind: "audit", camera: null, person: null } })}>
              ${icon("people")}<span class="wide">${t("people.title")}</span>
            </button>`
          : nothing
      }
      <div class="page">
      ${this.person()}
      <button lang=${other} title=${t("bar.language")} aria-label="${other.toUpperCase()}: ${t("bar.language")}"
        @click=${() => chooseLanguage(localStorage, other)}>${other.toUpperCase()}</button>
      <button class="icon-only" title=${t("bar.fullscreen")} aria-label=${t("bar.fullscreen")}
        @click=${toggleFullscreen}>${icon("fullscreen")}</button>
      <button class="icon-only" title=${t("bar.help")} aria-label=${t("bar.help")}
        @click=${() => this.app.show({ dialog: { kind: "help" } })}>${icon("help")}</button>
      </div>
      </div>
      </div>
      <span class="space"></span>
      ${this.link()}
      <time datetime=${new Date(now).toISOString()}>
        <span>${dayDate(now, language.value)}</span><b>${clockTime(now, language.value)}</b>
      </time>
    `;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-top-bar": TopBar;
  }
}
