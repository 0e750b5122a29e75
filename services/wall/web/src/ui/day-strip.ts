/** The whole day of the selected camera above the timeline: where to look, at one glance, and a click leads there. */

import { css, html, LitElement, type TemplateResult } from "lit";
import { customElement, property, query } from "lit/decorators.js";
import { ApiError } from "../api/client.js";
import type { App } from "../app/app.js";
import { language, t } from "../i18n/index.js";
import { dayOf, otherDay } from "../model/day-strip.js";
import { dayDate, minuteTime } from "../model/format.js";
import { displayRatio, pointIn } from "../model/scale.js";
import { siteNow } from "../model/site-clock.js";
import { type TimeScale, toMs, toPx } from "../model/time-scale.js";
import { parseTimeline, type Timeline } from "../model/timeline.js";
import { meantCameras } from "../model/wall.js";
import { beat } from "./beat.js";
import { icon } from "./icons.js";
import { shared } from "./styles.js";
import { DAMAGE_COLOR, GAP_COLOR, RANGE_COLORS } from "./timeline-paint.js";
import { Watch } from "./watch.js";

const HEIGHT_PX = 18;
const READ_PERIOD_MS = 60_000;

@customElement("pantau-day-strip")
export class DayStrip extends LitElement {
  static override styles = [
    shared,
    css`
      :host {
        display: flex;
        align-items: center;
        gap: 4px;
        padding: 0 10px 4px;
      }
      .day {
        min-width: 96px;
        color: var(--text-soft);
        font-size: 13px;
        text-align: center;
        font-variant-numeric: tabular-nums;
      }
      button {
        min-height: 26px;
        width: 28px;
      }
      canvas {
        flex: 1;
        min-width: 0;
        height: ${HEIGHT_PX}px;
        border-radius: 3px;
        cursor: pointer;
      }
    `,
  ];

  @property({ attribute: false }) app!: App;
  @query("canvas") private canvas!: HTMLCanvasElement;
  private timeline: Timeline | null = null;
  private asked = "";
  private askedMs = 0;
  private unfollow: (() => void) | undefined;

  constructor() {
    super();
    new Watch(this, () => [this.app.wall, this.app.keeper.clock]);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.unfollow = beat.followSeconds(() => this.requestUpdate());
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.unfollow?.();
  }

  private async read(): Promise<void> {
    const [camera] = meantCameras(this.app.wall.value);
    const { fromMs, toMs: end } = dayOf(this.app.playback.nowMs());
    const key = `${camera} ${fromMs}`;
    const now = siteNow();
    if (key === this.asked && now - this.askedMs < READ_PERIOD_MS) return;
    // What was read says nothing of another camera, or of another day.
    if (key !== this.asked) this.timeline = null;
    this.asked = key;
    this.askedMs = now;
    if (camera === undefined) return;
    try {
      const body = await this.app.api.timeline(camera, fromMs, Math.min(end, now));
      if (this.asked === key) this.timeline = parseTimeline(body);
    } catch (error) {
      // The timeline below says what failed; the strip keeps what it has.
      if (!(error instanceof ApiError)) throw error;
    }
    this.draw();
  }

  private get scale(): TimeScale {
    return { ...dayOf(this.app.playback.nowMs()), widthPx: this.canvas.clientWidth };
  }

  private draw(): void {
    const context = this.canvas.getContext("2d");
    const { scale } = this;
    if (!context || scale.widthPx === 0) return;
    const ratio = displayRatio();
    this.canvas.width = Math.round(scale.widthPx * ratio);
    this.canvas.height = Math.round(HEIGHT_PX * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = "#171d24";
    context.fillRect(0, 0, scale.widthPx, HEIGHT_PX);
    const bar = (from: number, to: number, color: string, top = 0, height = HEIGHT_PX) => {
      context.fillStyle = color;
      const left = toPx(scale, from);
      context.fillRect(left, top, Math.max(toPx(scale, to) - left, 1), height);
    };
    for (const range of this.timeline?.ranges ?? []) bar(range.fromMs, range.toMs, RANGE_COLORS[range.kind]);
    for (const gap of this.timeline?.gaps ?? []) bar(gap.fromMs, gap.toMs, GAP_COLOR);
    for (const damage of this.timeline?.damage ?? []) bar(damage.fromMs, damage.toMs, DAMAGE_COLOR, 0, 3);
    for (const { fromMs, toMs: end, level } of this.timeline?.activity ?? []) {
      const height = level * HEIGHT_PX;
      bar(fromMs, end, "#a9d2f0", HEIGHT_PX - height, height);
    }
    const window = this.app.playback.shown;
    if (window) {
      context.strokeStyle = "#d6dde4";
      context.lineWidth = 1.5;
      const left = toPx(scale, window.fromMs);
      context.strokeRect(left, 0.75, Math.max(toPx(scale, window.toMs) - left, 3), HEIGHT_PX - 1.5);
    }
    const { playback } = this.app;
    bar(playback.nowMs(), playback.nowMs(), playback.active ? "#e8b75a" : "#79b791");
  }

  protected override updated(): void {
    this.draw();
    void this.read();
  }

  private go(by: 1 | -1): void {
    this.app.playback.seek(otherDay(this.app.playback.nowMs(), by));
  }

  override render(): TemplateResult {
    const at = this.app.playback.nowMs();
    const day = dayDate(at, language.value);
    const label = t("strip.label", { day, time: minuteTime(at, language.value) });
    return html`
      <button class="icon-only" title=${t("strip.before")} aria-label=${t("strip.before")} @click=${() => this.go(-1)}>
        ${icon("frame-back")}
      </button>
      <span class="day">${day}</span>
      <button class="icon-only" title=${t("strip.after")} aria-label=${t("strip.after")}
        ?disabled=${dayOf(at).toMs > siteNow()} @click=${() => this.go(1)}>${icon("frame")}</button>
      <canvas role="img" aria-label=${label} title=${t("strip.hint")}
        @click=${(event: MouseEvent) => this.app.playback.seek(toMs(this.scale, pointIn(event, this.canvas).x))}></canvas>
    `;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-day-strip": DayStrip;
  }
}
