/** The bar on top: layouts, panels, the link's quality, the time, and what concerns the page. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import type { App } from "../app/app.js";
import { toggleFullscreen } from "../app/perform.js";
import type { ViewState } from "../app/view.js";
import { chooseLanguage, language, t } from "../i18n/index.js";
import { clockTime, dayDate, localeOf } from "../model/format.js";
import { gridArea, LAYOUTS, type LayoutName, layoutOf } from "../model/layout.js";
import { setLayout } from "../model/wall.js";
import { icon } from "./icons.js";
import { shared } from "./styles.js";
import { Watch } from "./watch.js";

const SLOW_LOSS = 0.02;

@customElement("pantau-top-bar")
export class TopBar extends LitElement {
  static override styles = [
    shared,
    css`
      :host {
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
      .layouts {
        display: flex;
        gap: 2px;
        margin: 0 10px;
      }
      .layout {
        width: 34px;
        padding: 0;
      }
      .mini {
        display: grid;
        gap: 1.5px;
        width: 22px;
        height: 16px;
      }
      .mini i {
        background: currentColor;
        border-radius: 0.5px;
        opacity: 0.85;
      }
      .space {
        flex: 1;
      }
      .link {
        display: flex;
        align-items: center;
        gap: 7px;
        margin-right: 12px;
        color: var(--text-dim);
        font-size: 13.5px;
        font-variant-numeric: tabular-nums;
      }
      .link.bad {
        color: var(--warn);
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
      @media (max-width: 760px) {
        :host {
          flex-wrap: wrap;
        }
        .layouts {
          flex-wrap: wrap;
          margin: 0;
        }
        button {
          min-width: 44px;
          min-height: 44px;
        }
      }
      @media (max-width: 1500px) {
        .wide {
          display: none;
        }
        button:has(.wide) {
          min-width: 36px;
          padding: 0 8px;
        }
      }
    `,
  ];

  @property({ attribute: false }) app!: App;
  private timer: ReturnType<typeof setInterval> | undefined;

  constructor() {
    super();
    new Watch(this, () => {
      const { wall, view, keeper, incidents, me, server, support } = this.app;
      return [wall, view, keeper.quality, keeper.link, incidents, me, server, support];
    });
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.timer = setInterval(() => this.requestUpdate(), 1000);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.timer);
  }

  private layoutButton(name: LayoutName): TemplateResult {
    const { side, cells } = layoutOf(name);
    const large = name.startsWith("1+");
    const label = large
      ? t("bar.layout.large", { count: cells.length - 1 })
      : t("bar.layout.option", { count: cells.length });
    const template = `repeat(${side}, 1fr) / repeat(${side}, 1fr)`;
    const gap = side > 4 ? "1px" : "1.5px";
    return html`<button class="layout" role="radio" aria-label=${label} title=${label}
      aria-checked=${this.app.wall.value.layout === name}
      @click=${() => this.app.wall.update((wall) => setLayout(wall, name))}>
      <span class="mini" .style=${`grid-template: ${template}; gap: ${gap}`}>
        ${cells.map((cell) => html`<i .style=${`grid-area: ${gridArea(cell)}`}></i>`)}
      </span>
    </button>`;
  }

  private panelButton(panel: keyof Omit<ViewState, "dialog">, extra: unknown = nothing): TemplateResult {
    const names = { panel: t("bar.panel"), timeline: t("bar.timeline"), incidents: t("bar.incidents") };
    const icons = { panel: "panel", timeline: "timeline", incidents: "incident" } as const;
    const open = this.app.view.value[panel];
    return html`<button aria-pressed=${open} title=${names[panel]} aria-label=${names[panel]}
      @click=${() => this.app.show({ [panel]: !open })}>
      ${icon(icons[panel])}<span class="wide">${names[panel]}</span>${extra}
    </button>`;
  }

  private link(): TemplateResult {
    const { keeper, server, link } = this.app;
    if (link.phase === "no-webrtc" || link.phase === "no-h264") {
      return html`<span class="link bad" role="status">${icon("warning")}${t("tile.browser")}</span>`;
    }
    const open = link.phase === "open" && server.value.answers;
    if (!open) return html`<span class="link bad" role="status">${icon("link-lost")}${t("bar.reconnecting")}</span>`;
    const quality = keeper.quality.value;
    if (!quality) return html`<span class="link">${t("bar.connected")}</span>`;
    const locale = localeOf(language.value);
    const digits = quality.loss > 0 && quality.loss < 0.1 ? 1 : 0;
    const percent = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: digits });
    const loss = percent.format(quality.loss);
    if (quality.loss >= SLOW_LOSS) {
      return html`<span class="link bad" role="status">${icon("warning")}${t("bar.link.slow", { loss })}</span>`;
    }
    return html`<span class="link" title=${t("bar.connected")}>${t("bar.connected")}</span>`;
  }

  override render(): TemplateResult {
    const now = Date.now();
    const open = this.app.incidents.value?.filter((incident) => incident.status === "open").length ?? 0;
    const badge =
      open > 0 ? html`<span class="count" title=${t("bar.incidents.open", { count: open })}>${open}</span>` : nothing;
    const other = language.value === "id" ? "en" : "id";
    return html`
      <h1><img src="/icon.svg" width="24" height="24" alt="" />Pantau</h1>
      ${this.panelButton("panel")}
      <div class="layouts" role="radiogroup" aria-label=${t("bar.layout")}>${LAYOUTS.map((name) => this.layoutButton(name))}</div>
      ${this.panelButton("timeline")} ${this.panelButton("incidents", badge)}
      ${
        this.app.may("operator")
          ? html`<button title=${t("bar.coverage")} aria-label=${t("bar.coverage")}
              @click=${() => this.app.show({ dialog: { kind: "coverage" } })}>
              ${icon("coverage")}<span class="wide">${t("bar.coverage")}</span>
            </button>`
          : nothing
      }
      <span class="space"></span>
      ${this.link()}
      <time datetime=${new Date(now).toISOString()}>
        <span>${dayDate(now, language.value)}</span><b>${clockTime(now, language.value)}</b>
      </time>
      <button lang=${other} title=${t("bar.language")} aria-label=${t("bar.language")}
        @click=${() => chooseLanguage(localStorage, other)}>${other.toUpperCase()}</button>
      <button class="icon-only" title=${t("bar.fullscreen")} aria-label=${t("bar.fullscreen")}
        @click=${toggleFullscreen}>${icon("fullscreen")}</button>
      <button class="icon-only" title=${t("bar.help")} aria-label=${t("bar.help")}
        @click=${() => this.app.show({ dialog: { kind: "help" } })}>${icon("help")}</button>
    `;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-top-bar": TopBar;
  }
}
