/** The panel under the wall: playback's controls over the timeline. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, query } from "lit/decorators.js";
import type { App } from "../app/app.js";
import { language, type MessageKey, t } from "../i18n/index.js";
import { clockTime, dayDate, duration, momentTime, rateText } from "../model/format.js";
import { momentText, parseMoment } from "../model/moment.js";
import { siteNow } from "../model/site-clock.js";
import { wallCameras } from "../model/wall.js";
import { beat } from "./beat.js";
import { type IconName, icon } from "./icons.js";
import { shared } from "./styles.js";
import type { TimelineView } from "./timeline-view.js";
import { Watch } from "./watch.js";
import "./day-strip.js";
import "./exports-tray.js";
import "./timeline-view.js";

const AGO_MS = 300_000;

@customElement("pantau-timeline-panel")
export class TimelinePanel extends LitElement {
  static override styles = [
    shared,
    css`
      :host {
        container-type: inline-size;
        display: block;
        background: var(--panel);
        border-top: 1px solid var(--line);
      }
      .bar {
        display: flex;
        align-items: center;
        gap: 10px;
        padding: 5px 10px;
      }
      .group {
        display: flex;
        align-items: center;
        gap: 1px;
      }
      .play {
        width: 46px;
        background: var(--raised);
        color: var(--text);
      }
      .rate {
        min-width: 52px;
        text-align: center;
        font-variant-numeric: tabular-nums;
      }
      .moment {
        display: flex;
        align-items: baseline;
        gap: 9px;
        min-width: 190px;
        font-variant-numeric: tabular-nums;
      }
      .moment b {
        font-size: 30px;
        font-weight: 600;
        line-height: 34px;
        color: #e8b75a;
      }
      button[aria-pressed="true"]:disabled {
        opacity: 1;
        background: transparent;
        color: var(--good);
      }
      .moment.live b {
        font-size: 21px;
        color: var(--good);
      }
      .moment span {
        color: var(--text-soft);
      }
      input {
        height: 34px;
        padding: 0 8px;
        border: 1px solid var(--line);
        border-radius: 6px;
        background: var(--ground);
        color: var(--text);
        color-scheme: dark;
        font-size: 14px;
      }
      .goal {
        width: 168px;
        font-variant-numeric: tabular-nums;
      }
      .goal[aria-invalid="true"] {
        border-color: var(--fault);
      }
      .space {
        flex: 1 1 0;
      }
      .bar > :not(.space) {
        flex: none;
      }
      .bar > .note,
      .bar > .range {
        flex: 0 1 auto;
        min-width: 0;
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      .note {
        color: var(--text-dim);
        font-size: 13px;
      }
      .note.bad {
        color: var(--warn);
      }
      @container (max-width: 1500px) {
        /* The field beside it has the day, too. */
        .moment span {
          display: none;
        }
        .moment {
          min-width: 0;
        }
      }
      @container (max-width: 1180px) {
        .bar {
          flex-wrap: wrap;
        }
      }
      @container (max-width: 1700px) {
        .note.hint,
        .wide {
          display: none;
        }
      }
      .range {
        color: #e8c98c;
        font-size: 13.5px;
        font-variant-numeric: tabular-nums;
      }
    `,
  ];

  @property({ attribute: false }) app!: App;
  @query("pantau-timeline-view") private view!: TimelineView;
  @query("input") private goal!: HTMLInputElement;
  private shownSecond = 0;
  private unfollow: (() => void) | undefined;

  constructor() {
    super();
    new Watch(this, () => {
      const { wall, keeper, playback, me, activity } = this.app;
      return [wall, me, keeper.clock, playback.rate, playback.range, playback.failed, playback.gapNote, activity.note];
    });
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.unfollow = beat.follow(() => this.onBeat());
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.unfollow?.();
  }

  /** Renders where the moment's text is another one. */
  private onBeat(): void {
    if (Math.floor(this.app.playback.nowMs() / 1000) !== this.shownSecond) this.requestUpdate();
  }

  private button(name: IconName, label: MessageKey, action: () => void, extra = ""): TemplateResult {
    return html`<button class="icon-only ${extra}" title=${t(label)} aria-label=${t(label)} @click=${action}>${icon(name)}</button>`;
  }

  private transport(): TemplateResult {
    const { playback } = this.app;
    const playing = playback.playing;
    const backwards = playing && playback.rate.value < 0;
    return html`
      <div class="group">
        ${this.button("keyframe-back", "play.keyframe-back", () => playback.step("-keyframe"))}
        ${this.button("frame-back", "play.frame-back", () => playback.step("-frame"))}
        ${this.button(backwards ? "pause" : "reverse", backwards ? "play.pause" : "play.reverse", () => (backwards ? playback.pause() : playback.reverse()))}
        ${
          playing && !backwards
            ? this.button("pause", "play.pause", () => playback.pause(), "play")
            : this.button("play", "play.play", () => playback.play(Math.abs(playback.rate.value)), "play")
        }
        ${this.button("frame", "play.frame", () => playback.step("frame"))}
        ${this.button("keyframe", "play.keyframe", () => playback.step("keyframe"))}
      </div>
      <div class="group">
        <button class="icon-only" title=${t("play.slower")} aria-label=${t("play.slower")} @click=${() => playback.changeRate(-1)}>−</button>
        <span class="rate" aria-label=${t("play.rate", { rate: rateText(playback.rate.value, language.value) })}>
          ${rateText(playback.rate.value, language.value)}
        </span>
        <button class="icon-only" title=${t("play.faster")} aria-label=${t("play.faster")} @click=${() => playback.changeRate(1)}>+</button>
      </div>
      <div class="group">
        ${this.button("activity-back", "play.activity-back", () => this.app.activity.jump(-1))}
        ${this.button("activity", "play.activity", () => this.app.activity.jump(1))}
        ${this.button("busiest", "play.busiest", () => this.app.activity.showBusiest())}
      </div>
    `;
  }

  private go(): void {
    const { playback } = this.app;
    const ms = parseMoment(this.goal.value, playback.nowMs());
    this.goal.setAttribute("aria-invalid", String(ms === null));
    if (ms === null) return;
    this.goal.blur();
    playback.seek(ms);
  }

  protected override updated(): void {
    if (this.renderRoot instanceof ShadowRoot && this.renderRoot.activeElement === this.goal) return;
    this.goal.value = momentText(this.app.playback.nowMs());
    this.goal.removeAttribute("aria-invalid");
  }

  private moment(): TemplateResult {
    const { playback } = this.app;
    const at = playback.nowMs();
    this.shownSecond = Math.floor(at / 1000);
    return html`<div class="moment ${playback.active ? "" : "live"}">
      <span>${dayDate(at, language.value)}</span><b>${clockTime(at, language.value)}</b>
    </div>`;
  }

  private note(): TemplateResult | typeof nothing {
    const { playback, wall } = this.app;
    const range = playback.range.value;
    if (range) {
      const now = siteNow();
      const [from, to] = [range.fromMs, range.toMs].map((ms) => momentTime(ms, now, language.value));
      const text = t("timeline.range", {
        from: from ?? "",
        to: to ?? "",
        duration: duration(range.toMs - range.fromMs),
      });
      return html`<span class="range" title=${text}>${text}</span>
        ${this.button("close", "timeline.range.clear", () => playback.range.set(null))}`;
    }
    const gap = playback.gapNote.value;
    if (gap) return html`<span class="note" role="status">${t(`play.gap-${gap}`)}</span>`;
    const jumped = this.app.activity.note.value;
    if (jumped === "none")
      return html`<span class="note" role="status" title=${t("play.no-activity")}>${t("play.no-activity")}</span>`;
    if (jumped === "failed") return html`<span class="note bad" role="status">${t("play.activity-failed")}</span>`;
    if (playback.failed.value) return html`<span class="note bad" role="status">${t("timeline.failed")}</span>`;
    const hint: MessageKey = wallCameras(wall.value).length === 0 ? "timeline.none" : "timeline.hint";
    return html`<span class="note hint" title=${t(hint)}>${t(hint)}</span>`;
  }

  override render(): TemplateResult {
    const { app } = this;
    const { playback } = app;
    return html`
      <div class="bar">
        <button class="plain" aria-pressed=${!playback.active} ?disabled=${!playback.active} title=${t("play.back-to-live")}
          @click=${() => playback.live()}>${icon("live")}${t("play.live")}</button>
        <button title=${t("play.ago")} @click=${() => playback.goBack(AGO_MS)}>${t("play.ago.short")}</button>
        ${this.transport()} ${this.moment()}
        <input class="goal" inputmode="numeric" autocomplete="off" spellcheck="false" placeholder=${t("form.moment")}
          aria-label=${t("play.goto")} title=${t("play.goto")} @focus=${() => this.goal.select()} @change=${() => this.go()} />
        <span class="space"></span>
        ${this.note()}
        <div class="group">
          ${this.button("zoom-out", "play.zoom-out", () => this.view.zoomBy(2))}
          ${this.button("zoom-in", "play.zoom-in", () => this.view.zoomBy(0.5))}
        </div>
        ${this.button("sheet", "play.sheet", () => app.show({ dialog: { kind: "sheet" } }))}
        ${
          app.may("operator")
            ? html`<button class="plain" title=${t("play.export")} aria-label=${t("play.export")} @click=${() => app.show({ dialog: { kind: "export", incident: null } })}>
                  ${icon("export")}<span class="wide">${t("play.export")}</span>
                </button>
                <button class="plain" title=${t("play.incident")} aria-label=${t("play.incident")} @click=${() => app.show({ dialog: { kind: "incident", incident: null } })}>
                  ${icon("incident")}<span class="wide">${t("play.incident")}</span>
                </button>`
            : nothing
        }
      </div>
      <pantau-day-strip .app=${app}></pantau-day-strip>
      <pantau-timeline-view .app=${app}></pantau-timeline-view>
      <pantau-exports-tray .app=${app}></pantau-exports-tray>
    `;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-timeline-panel": TimelinePanel;
  }
}
