/** Playback on the wall: the session's one clock, the tiles that follow it, and the timelines beneath. */

import type { Api } from "../api/client.js";
import type { ClockControl, ClockNotice, SlotNotice } from "../api/generated.js";
import type { Step } from "../api/types.js";
import type { SessionKeeper } from "../media/keeper.js";
import { type ClockReading, clockMs, nextRate } from "../model/clock.js";
import { type GapMove, moveOverGap } from "../model/gaps.js";
import { Lateness } from "../model/lateness.js";
import { type MarkedEdge, markedRange } from "../model/marked-range.js";
import { Observable } from "../model/observable.js";
import { siteNow } from "../model/site-clock.js";
import { parseTimeline, type Span, type Timeline } from "../model/timeline.js";
import { anyRecorded, setSource, type WallState, wallCameras } from "../model/wall.js";
import type { ViewState } from "./view.js";

/** Playback without a chosen moment begins so far before now. */
const ENTER_BEFORE_NOW_MS = 30_000;
/** How often the link follows while the recording plays. */
const URL_PERIOD_MS = 1000;
/** Timelines are read around the shown window, so that a small pan needs none. */
const MARGIN = 0.5;
const READ_DELAY_MS = 150;
const AT_ONCE = 4;
/** While the playhead is dragged a moment is asked for no more often. */
const SCRUB_MS = 120;

/** What the panel says of a clock that moved by itself. */
export type GapNote = GapMove["do"];

export class Playback {
  /** Why the clock has just jumped or stopped; null again with the next command. */
  readonly gapNote = new Observable<GapNote | null>(null);
  /** By camera; what was read last. */
  readonly timelines = new Observable<ReadonlyMap<string, Timeline>>(new Map());
  readonly failed = new Observable(false);
  /** What is marked on the timeline for export or an incident. */
  readonly range = new Observable<Span | null>(null);
  /** The speed of the next play. */
  readonly rate = new Observable(1);
  private window: Span | null = null;
  private readTimer: ReturnType<typeof setTimeout> | null = null;
  /** The newest read of timelines, and by camera the one whose answer is shown. */
  private reads = 0;
  private readonly shownRead = new Map<string, number>();
  private urlWrittenMs = 0;
  private scrubbing: { playing: boolean; lastMs: number } | null = null;
  private replaying: { index: number; untilMs: number } | null = null;
  private readonly lateness = new Lateness();

  /** `writeUrl` puts the moment into the address bar. */
  constructor(
    private readonly api: Api,
    private readonly keeper: SessionKeeper,
    private readonly wall: Observable<WallState>,
    private readonly view: Observable<ViewState>,
    private readonly writeUrl: () => void,
  ) {}

  /** Whether any tile shows the recording. */
  get active(): boolean {
    return anyRecorded(this.wall.value);
  }

  private get reading(): ClockReading | null {
    return this.keeper.clock.value;
  }

  get playing(): boolean {
    return this.active && (this.reading?.playing ?? false);
  }

  /** The moment on the screen, Unix ms: the clock's while anything is recorded, else now. */
  nowMs(): number {
    const now = siteNow();
    const reading = this.reading;
    if (!this.active || !reading) return now;
    // Without a session nothing plays: the clock stands where it was when the session was lost.
    const { phase, sinceMs } = this.keeper.link.value;
    const until = phase === "open" ? now : Math.max(sinceMs, reading.receivedMs);
    return Math.min(clockMs(reading, until), now);
  }

  urlMs(): number | null {
    return this.active && this.reading ? Math.round(this.nowMs()) : null;
  }

  /** Goes to a moment from the URL; paused, unless something plays already. */
  restore(atMs: number): void {
    const at_us = Math.round(atMs * 1000);
    this.showTimeline();
    this.clock({ action: "seek", at_us }, { at_us, playing: this.playing });
  }

  private showTimeline(): void {
    this.view.update((view) => ({ ...view, timeline: true }));
  }

  /** `begin`: from live it plays. */
  seek(atMs: number, begin = true): void {
    const at_us = Math.round(Math.min(atMs, siteNow()) * 1000);
    const playing = this.playing;
    if (!this.active) {
      this.wall.update((wall) => setSource(wall, "recorded"));
      // An empty wall has nothing to show of that moment.
      if (!this.active) return;
      this.clock({ action: "seek", at_us }, { at_us, playing: false });
      if (begin) this.play();
    } else {
      this.clock({ action: "seek", at_us }, { at_us, playing });
    }
    this.writeUrl();
  }

  play(rate = this.rate.value): void {
    if (!this.active) {
      this.seek(siteNow() - ENTER_BEFORE_NOW_MS);
      return;
    }
    this.rate.set(rate);
    this.clock({ action: "play", rate }, { playing: true, rate });
  }

  pause(): void {
    if (!this.active) return;
    this.clock({ action: "pause" }, { playing: false });
    this.writeUrl();
  }

  toggle(): void {
    if (this.playing) this.pause();
    else this.play();
  }

  reverse(): void {
    this.play(-Math.abs(this.rate.value) * Math.sign(this.rate.value || 1));
  }

  changeRate(by: 1 | -1): void {
    const rate = nextRate(this.rate.value, by);
    this.rate.set(rate);
    if (this.playing) this.play(rate);
  }

  step(step: Step): void {
    if (!this.active) this.seek(siteNow() - ENTER_BEFORE_NOW_MS);
    if (this.active) this.clock({ action: "step", step }, { playing: false });
  }

  skip(seconds: number): void {
    this.seek(this.nowMs() + seconds * 1000);
  }

  /** What was `ms` ago, playing. */
  goBack(ms: number): void {
    this.showTimeline();
    this.seek(siteNow() - ms);
    this.play(1);
  }

  /** Marks the moment on the screen as an edge of the range for an export or an incident. */
  mark(edge: MarkedEdge): void {
    this.range.update((range) => markedRange(range, edge, this.nowMs(), siteNow()));
  }

  /** The playhead is dragged: pictures of each moment that it passes, as fast as they come. */
  scrub(atMs: number): void {
    if (this.scrubbing === null) {
      this.scrubbing = { playing: this.playing, lastMs: 0 };
      if (this.playing) this.pause();
    }
    const now = performance.now();
    if (now - this.scrubbing.lastMs < SCRUB_MS) return;
    this.scrubbing.lastMs = now;
    this.seek(atMs, false);
  }

  /** The playhead was let go. */
  endScrub(atMs: number): void {
    const played = this.scrubbing?.playing ?? false;
    this.scrubbing = null;
    this.seek(atMs, played);
    if (played) this.play();
  }

  /** All tiles back to live. */
  live(): void {
    this.replaying = null;
    this.pause();
    this.rate.set(1);
    this.wall.update((wall) => setSource(wall, "live"));
  }

  /** One tile between live and recorded, while the others stay as they are. */
  toggleTile(index: number): void {
    this.replaying = null;
    const wall = this.wall.value;
    const recorded = wall.tiles[index]?.source === "recorded";
    const wasActive = this.active;
    const atMs = this.nowMs();
    this.wall.set(setSource(wall, recorded ? "live" : "recorded", index));
    if (!wasActive) {
      this.showTimeline();
      this.seek(atMs - ENTER_BEFORE_NOW_MS);
      this.play();
    }
  }

  /** The last half minute in one tile, while the others stay live; then it is live again. Not where others are recorded. */
  replay(index: number): void {
    if (this.active) return;
    const untilMs = siteNow();
    this.wall.update((wall) => setSource(wall, "recorded", index));
    this.seek(untilMs - ENTER_BEFORE_NOW_MS);
    this.play(1);
    this.replaying = { index, untilMs };
  }

  private endReplay(): void {
    const { replaying } = this;
    this.replaying = null;
    if (replaying === null) return;
    this.pause();
    this.wall.update((wall) => setSource(wall, "live", replaying.index));
  }

  onClock(): void {
    if (this.replaying !== null && this.nowMs() >= this.replaying.untilMs) {
      this.endReplay();
      return;
    }
    const reading = this.reading;
    if (reading?.playing) this.rate.set(reading.rate);
    const now = siteNow();
    // Where the clock stands, as after a step, this may be the last notice.
    if (reading?.playing && now - this.urlWrittenMs < URL_PERIOD_MS) return;
    this.urlWrittenMs = now;
    if (this.active) this.writeUrl();
  }

  /** The notices of the recorded tiles have changed, or the clock has gone on. */
  overGap(notices: readonly (SlotNotice | null)[]): void {
    if (!this.playing || (this.reading?.rate ?? 1) < 0) return;
    const move = moveOverGap(notices, this.nowMs(), siteNow());
    if (move === null) return;
    if (move.do !== "jump" && this.replaying !== null) {
      // The last seconds are recorded only a moment later.
      this.endReplay();
      return;
    }
    if (move.do === "jump") this.seek(move.toMs);
    else this.pause();
    this.gapNote.set(move.do);
  }

  /** A recorded tile's picture came `delayMs` after its arrival. Reports the largest delay to the relay now and then. */
  noteDelay(slot: number, delayMs: number): void {
    const late_ms = this.lateness.note(slot, delayMs, performance.now());
    if (late_ms !== null && this.playing) this.keeper.control({ type: "lateness", late_ms });
  }

  /** Sends a clock control, and shows the expected clock at once. */
  private clock(control: Omit<ClockControl, "type" | "number">, expected: Partial<ClockReading>): void {
    // A person who steers the clock looks for something: the tile then stays recorded.
    this.replaying = null;
    this.gapNote.set(null);
    const now = siteNow();
    const before: ClockReading = this.reading ?? { at_us: now * 1000, rate: 1, playing: false, receivedMs: now };
    const at_us = Math.round(clockMs(before, now) * 1000);
    const { playing, rate } = before;
    const type: ClockNotice["type"] = "clock";
    this.keeper.steer(control, { type, at_us, rate, playing, number: 0, receivedMs: now, ...expected });
  }

  /** What the timeline shows; null while it is closed. */
  get shown(): Span | null {
    return this.window;
  }

  /** The window that the timeline shows, for the cameras on the wall. */
  watch(window: Span | null): void {
    this.window = window;
    this.readSoon(READ_DELAY_MS);
  }

  /** Other cameras are on the wall: reads their timelines. */
  camerasChanged(): void {
    if (this.window) this.readSoon(READ_DELAY_MS);
  }

  recordingsChanged(): void {
    if (this.window) this.readSoon(2000);
  }

  private readSoon(delayMs: number): void {
    if (this.readTimer !== null) clearTimeout(this.readTimer);
    this.readTimer = setTimeout(() => {
      this.readTimer = null;
      void this.read();
    }, delayMs);
  }

  private async read(): Promise<void> {
    const { window } = this;
    if (!window) return;
    const margin = (window.toMs - window.fromMs) * MARGIN;
    const from = window.fromMs - margin;
    const to = Math.min(window.toMs + margin, siteNow());
    if (to <= from) return;
    const cameras = wallCameras(this.wall.value);
    const queue = [...cameras];
    const number = ++this.reads;
    let failures = 0;
    const work = async () => {
      for (let camera = queue.shift(); camera !== undefined; camera = queue.shift()) {
        try {
          const timeline = parseTimeline(await this.api.timeline(camera, from, to));
          // Answers overtake each other: an older one says nothing of the window that is shown now.
          if (number < (this.shownRead.get(camera) ?? 0)) continue;
          this.shownRead.set(camera, number);
          this.timelines.update((known) => new Map(known).set(timeline.camera, timeline));
        } catch {
          failures += 1;
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    if (number !== this.reads) return;
    this.timelines.update((known) => new Map([...known].filter(([camera]) => cameras.includes(camera))));
    this.failed.set(failures > 0 && failures === cameras.length);
  }
}
