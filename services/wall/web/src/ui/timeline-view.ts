/** The timeline's canvas, with the cameras' names beside it: shows what is recorded, and is clicked, dragged, zoomed and steered by keys. */

import { html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import type { App } from "../app/app.js";
import { causeText, isMessageKey, language, t } from "../i18n/index.js";
import { fitted } from "../model/day-strip.js";
import { type EventMark, eventMarks } from "../model/event-feed.js";
import { dateTime } from "../model/format.js";
import { type Lane, laneAt, lanes, nameless, RULER_PX, totalHeightPx } from "../model/lanes.js";
import { displayRatio, pointIn } from "../model/scale.js";
import { siteNow } from "../model/site-clock.js";
import { pan, reveal, type TimeScale, toMs, toPx, zoom } from "../model/time-scale.js";
import { momentAt, type Timeline } from "../model/timeline.js";
import { tileAt, wallCameras } from "../model/wall.js";
import { beat } from "./beat.js";
import { shared } from "./styles.js";
import { paint } from "./timeline-paint.js";
import { timelineViewStyles } from "./timeline-view.styles.js";
import { Watch } from "./watch.js";

const FIRST_SPAN_MS = 2 * 3_600_000;
const PREVIEW_DELAY_MS = 250;
/** Keyframes are further apart: the browser then has most previews already. */
const PREVIEW_GRID_MS = 1000;
/** A pointer that moved less than this was a click. */
const CLICK_PX = 4;
const PLAYHEAD_PX = 8;
const TIP_PX = 248;
const WATCH_EDGE = 0.1;
/** So near the pointer has an event's mark. */
const EVENT_PX = 6;

interface Drag {
  startPx: number;
  lastPx: number;
  moved: boolean;
  does: "pan" | "mark" | "scrub";
}
interface Hover {
  xPx: number;
  atMs: number;
  camera: string | null;
}

@customElement("pantau-timeline-view")
export class TimelineView extends LitElement {
  static override styles = [shared, timelineViewStyles];

  @property({ attribute: false }) app!: App;
  @state() private hover: Hover | null = null;
  @state() private preview: { camera: string; atMs: number } | null = null;
  @query("canvas") private canvas!: HTMLCanvasElement;
  private scale: TimeScale = { fromMs: 0, toMs: 1, widthPx: 1 };
  private drag: Drag | null = null;
  private drawnTo = "";
  private unfollow: (() => void) | undefined;
  private previewTimer: ReturnType<typeof setTimeout> | undefined;
  private watched: TimeScale | null = null;
  private endFirst: (() => void) | undefined;
  /** Nobody has zoomed or moved the window. */
  private untouched = true;
  private readonly resize = new ResizeObserver(() => {
    const widthPx = this.canvas.clientWidth;
    // Not within the observer's own turn: drawing changes the canvas's size, and with it this element's.
    if (widthPx > 0) requestAnimationFrame(() => this.setScale({ ...this.scale, widthPx }));
  });

  constructor() {
    super();
    new Watch(this, () => [
      this.app.playback.timelines,
      this.app.playback.range,
      this.app.wall,
      this.app.cameras,
      this.app.incidents,
      this.app.feed.events,
    ]);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    // The moment in the middle, but no more of the future than a margin.
    const toMsNow = Math.min(this.app.playback.nowMs() + FIRST_SPAN_MS * 0.5, siteNow() + FIRST_SPAN_MS * 0.05);
    this.scale = { fromMs: toMsNow - FIRST_SPAN_MS, toMs: toMsNow, widthPx: 1 };
    this.resize.observe(this);
    this.unfollow = beat.follow(() => this.onBeat());
    this.endFirst = this.app.playback.timelines.subscribe((timelines) => {
      if (timelines.size > 0) this.fitFirst(timelines);
    });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.resize.disconnect();
    this.endFirst?.();
    this.unfollow?.();
    clearTimeout(this.previewTimer);
    this.app.playback.watch(null);
  }

  /** The first window shows what there is, unless it was moved meanwhile. */
  private fitFirst(timelines: ReadonlyMap<string, Timeline>): void {
    this.endFirst?.();
    if (!this.untouched) return;
    const span = fitted(this.scale, timelines.values(), siteNow());
    this.setScale({ ...this.scale, ...span });
  }

  /** Zooms around the middle of the window, or around the moment on the screen where that is in it. */
  zoomBy(factor: number): void {
    const at = this.app.playback.nowMs();
    const { fromMs, toMs: end, widthPx } = this.scale;
    this.untouched = false;
    const inside = at > fromMs && at < end;
    this.setScale(zoom(this.scale, factor, inside ? ((at - fromMs) / (end - fromMs)) * widthPx : widthPx / 2));
  }

  private setScale(scale: TimeScale): void {
    this.scale = scale;
    const span = scale.toMs - scale.fromMs;
    const seen = this.watched;
    const near =
      seen &&
      Math.abs(seen.fromMs - scale.fromMs) < span * WATCH_EDGE &&
      Math.abs(seen.toMs - scale.toMs) < span * WATCH_EDGE;
    if (!near) {
      this.watched = scale;
      this.app.playback.watch(scale);
    }
    this.requestUpdate();
  }

  private onBeat(): void {
    if (!this.drag) {
      const followed = reveal(this.scale, this.app.playback.nowMs());
      if (followed !== this.scale && (this.app.playback.playing || !this.app.playback.active)) this.setScale(followed);
    }
    if (this.movedTo() !== this.drawnTo) this.draw();
  }

  /** Where time alone moves what is drawn: the playhead and the present, in pixels of the display. */
  private movedTo(): string {
    const px = (ms: number) => Math.round(toPx(this.scale, ms) * displayRatio());
    return `${px(this.app.playback.nowMs())} ${px(siteNow())}`;
  }

  private rows(): Lane[] {
    const wall = this.app.wall.value;
    return lanes(wallCameras(wall), tileAt(wall, wall.selected).camera);
  }

  private draw(): void {
    const context = this.canvas.getContext("2d");
    if (!context || this.scale.widthPx <= 1) return;
    const rows = this.rows();
    const heightPx = totalHeightPx(rows);
    const ratio = displayRatio();
    const width = Math.round(this.scale.widthPx * ratio);
    const height = Math.round(heightPx * ratio);
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) {
      this.canvas.height = height;
      this.canvas.style.height = `${heightPx}px`;
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.drawnTo = this.movedTo();
    const { playback } = this.app;
    paint(context, {
      scale: this.scale,
      heightPx,
      lanes: rows,
      timelines: playback.timelines.value,
      nowMs: siteNow(),
      playheadMs: playback.nowMs(),
      live: !playback.active,
      range: playback.range.value,
      incidents: this.app.incidents.value ?? [],
      events: eventMarks(this.app.feed.events.value ?? []),
      hoverPx: this.hover?.xPx ?? null,
      language: language.value,
    });
  }

  protected override updated(): void {
    this.draw();
  }

  /** Whether the pointer has the playhead: near its line, or on the ruler that it hangs from. */
  private onPlayhead(event: PointerEvent): boolean {
    const { x, y } = pointIn(event, this.canvas);
    return Math.abs(x - toPx(this.scale, this.app.playback.nowMs())) <= PLAYHEAD_PX || y < RULER_PX;
  }

  private readonly onPointerDown = (event: PointerEvent) => {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    const does = event.shiftKey ? "mark" : this.onPlayhead(event) ? "scrub" : "pan";
    const { x } = pointIn(event, this.canvas);
    this.drag = { startPx: x, lastPx: x, moved: false, does };
  };

  private readonly onPointerMove = (event: PointerEvent) => {
    const { drag } = this;
    this.setHover(event);
    if (!drag) return;
    const { x } = pointIn(event, this.canvas);
    drag.moved ||= Math.abs(x - drag.startPx) > CLICK_PX;
    if (!drag.moved) return;
    if (drag.does === "mark") this.mark(drag.startPx, x);
    else if (drag.does === "scrub") this.app.playback.scrub(toMs(this.scale, x));
    else this.setScale(pan(this.scale, drag.lastPx - x));
    drag.lastPx = x;
  };

  private readonly onPointerUp = (event: PointerEvent) => {
    const { drag } = this;
    const atMs = toMs(this.scale, pointIn(event, this.canvas).x);
    this.drag = null;
    if (drag?.moved && drag.does === "scrub") this.app.playback.endScrub(atMs);
    if (!drag || drag.moved) return;
    if (drag.does === "mark") this.app.playback.range.set(null);
    else this.app.playback.seek(atMs);
  };

  private readonly onLeave = () => {
    this.hover = null;
    this.preview = null;
    clearTimeout(this.previewTimer);
  };

  private mark(a: number, b: number): void {
    const [from, to] = [toMs(this.scale, Math.min(a, b)), Math.min(toMs(this.scale, Math.max(a, b)), siteNow())];
    this.app.playback.range.set(from < to ? { fromMs: from, toMs: to } : null);
  }

  private setHover(event: PointerEvent): void {
    const { x, y } = pointIn(event, this.canvas);
    const atMs = toMs(this.scale, x);
    const camera = laneAt(this.rows(), y)?.camera ?? null;
    this.hover = { xPx: x, atMs, camera };
    this.preview = null;
    clearTimeout(this.previewTimer);
    const timeline = camera === null ? undefined : this.app.playback.timelines.value.get(camera);
    if (camera === null || !timeline || this.drag || momentAt(timeline, atMs).kind !== "recorded") return;
    this.previewTimer = setTimeout(() => {
      this.preview = { camera, atMs: Math.floor(atMs / PREVIEW_GRID_MS) * PREVIEW_GRID_MS };
    }, PREVIEW_DELAY_MS);
  }

  private readonly onWheel = (event: WheelEvent) => {
    event.preventDefault();
    this.untouched = false;
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.setScale(pan(this.scale, event.deltaX));
    else this.setScale(zoom(this.scale, 1.0018 ** event.deltaY, pointIn(event, this.canvas).x));
  };

  private readonly onKey = (event: KeyboardEvent) => {
    const { playback } = this.app;
    // With Shift or Ctrl they are the page's own skips.
    if (event.shiftKey || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowLeft") playback.skip(-10);
    else if (event.key === "ArrowRight") playback.skip(10);
    else if (event.key === "+" || event.key === "=") this.zoomBy(0.5);
    else if (event.key === "-") this.zoomBy(2);
    else if (event.key === "Home") this.setScale(pan(this.scale, -this.scale.widthPx * 0.8));
    else if (event.key === "End") this.setScale(pan(this.scale, this.scale.widthPx * 0.8));
    else return;
    event.preventDefault();
  };

  private what({ camera, atMs }: Hover): string {
    const timeline = camera === null ? undefined : this.app.playback.timelines.value.get(camera);
    if (!timeline) return t("timeline.loading");
    const moment = momentAt(timeline, atMs);
    if (moment.kind === "nothing") return t("timeline.nothing");
    if (moment.kind === "recorded") {
      const footage = t(`timeline.${moment.footage}`);
      return moment.damaged ? `${footage}, ${t("timeline.damaged")}` : footage;
    }
    return t("timeline.gap", { cause: causeText(moment.cause) });
  }

  /** What went wrong where the pointer is, as the feed of events says it. */
  private happened({ camera, xPx }: Hover): TemplateResult | typeof nothing {
    const near = ({ atMs }: EventMark) => Math.abs(toPx(this.scale, atMs) - xPx) <= EVENT_PX;
    const mark = eventMarks(this.app.feed.events.value ?? []).find((each) => each.camera === camera && near(each));
    const key = `event.${mark?.type}`;
    return isMessageKey(key) ? html`<br />${t(key)}` : nothing;
  }

  private tip(): TemplateResult | typeof nothing {
    const { hover, preview } = this;
    if (!hover) return nothing;
    const left = Math.min(Math.max(hover.xPx - TIP_PX / 2, 4), Math.max(this.scale.widthPx - TIP_PX - 4, 4));
    return html`<div class="tip" .style=${`left: ${left}px`}>
      ${
        preview
          ? html`<img alt="" src=${this.app.api.snapshotUrl(preview.camera, preview.atMs, 320)}
              @error=${(event: Event) => (event.target as HTMLImageElement).classList.add("missing")}
              @load=${(event: Event) => (event.target as HTMLImageElement).classList.remove("missing")} />`
          : nothing
      }
      <div>${dateTime(hover.atMs, language.value)}</div>
      ${
        hover.camera === null
          ? nothing
          : html`<div class="what">${this.nameOf(hover.camera)}<br />${this.what(hover)}${this.happened(hover)}</div>`
      }
    </div>`;
  }

  private nameOf(camera: string): string {
    return this.app.camera(camera)?.name ?? camera;
  }

  private names(): TemplateResult {
    const rows = this.rows();
    const others = nameless(rows);
    const [first] = others;
    const place = ({ topPx, heightPx }: Lane) => `top: ${topPx}px; height: ${heightPx}px; line-height: ${heightPx}px`;
    return html`<div class="names">
      ${rows
        .filter((lane) => !others.includes(lane))
        .map((lane) => {
          const name = this.nameOf(lane.camera);
          return html`<div class=${lane.selected ? "selected" : ""} .style=${place(lane)} title=${name}><span>${name}</span></div>`;
        })}
      ${
        first
          ? html`<div class="others" .style=${`top: ${first.topPx}px`}>${t("timeline.others", { count: others.length })}</div>`
          : nothing
      }
    </div>`;
  }

  override render(): TemplateResult {
    const time = dateTime(this.app.playback.nowMs(), language.value);
    return html`${this.names()}<div class="lanes">${this.tip()}<canvas tabindex="0" role="slider" aria-label=${t("timeline.label", { time })}
      aria-valuetext=${time} aria-valuenow=${Math.round(this.app.playback.nowMs() / 1000)}
      @pointerdown=${this.onPointerDown} @pointermove=${this.onPointerMove} @pointerup=${this.onPointerUp}
      @pointerleave=${this.onLeave} @wheel=${this.onWheel} @keydown=${this.onKey}></canvas></div>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-timeline-view": TimelineView;
  }
}
