/** Finding by activity: jumps of the playback clock, and the busiest minutes, both asked of the recorders. */

import { type Api, ApiError } from "../api/client.js";
import type { BusyView } from "../api/generated.js";
import { aheadOf, LEAD_MS } from "../model/activity.js";
import { Observable } from "../model/observable.js";
import { siteNow } from "../model/site-clock.js";
import type { Span } from "../model/timeline.js";
import { tileAt, type WallState, wallCameras } from "../model/wall.js";
import type { Playback } from "./playback.js";
import type { ViewState } from "./view.js";

const NOTE_MS = 2500;
/** The longest range for the busiest minutes (the server's limit). */
const LONGEST_MS = 31 * 86_400_000;

export type JumpNote = "none" | "failed";

export class Activity {
  /** Why the last jump failed; null again after `NOTE_MS`. */
  readonly note = new Observable<JumpNote | null>(null);
  private jumping = false;
  private noteTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly api: Api,
    private readonly playback: Playback,
    private readonly wall: Observable<WallState>,
    private readonly view: Observable<ViewState>,
  ) {}

  /** The cameras in view: the enlarged one, else all on the wall. */
  private cameras(): string[] {
    const wall = this.wall.value;
    const enlarged = wall.enlarged === null ? null : tileAt(wall, wall.enlarged).camera;
    return enlarged === null ? wallCameras(wall) : [enlarged];
  }

  /** To the next (1) or previous (−1) activity of any of the cameras. A key that repeats waits for its answer. */
  async jump(by: 1 | -1): Promise<void> {
    if (this.jumping) return;
    this.jumping = true;
    try {
      const cameras = this.cameras();
      const at = aheadOf(this.playback.nowMs(), by);
      const found = cameras.length > 0 ? await this.api.nextActivity(cameras, at, by) : null;
      if (found) this.playback.seek(Date.parse(found.from) - LEAD_MS);
      this.tell(found ? null : "none");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.tell("failed");
    } finally {
      this.jumping = false;
    }
  }

  private tell(note: JumpNote | null): void {
    clearTimeout(this.noteTimer);
    this.note.set(note);
    if (note) this.noteTimer = setTimeout(() => this.note.set(null), NOTE_MS);
  }

  /** Shows the busiest minutes of what is marked on the timeline, else of what it shows. */
  showBusiest(): void {
    const { playback } = this;
    const span = playback.range.value ?? playback.shown;
    if (!span) return;
    const toMs = Math.min(span.toMs, siteNow());
    const fromMs = Math.max(Math.min(span.fromMs, toMs - 60_000), toMs - LONGEST_MS);
    this.view.update((view) => ({ ...view, dialog: { kind: "busiest", span: { fromMs, toMs } } }));
  }

  /** Raises `ApiError`. */
  async busiest(span: Span): Promise<BusyView[]> {
    const cameras = this.cameras();
    return cameras.length > 0 ? this.api.busiestMinutes(cameras, span.fromMs, span.toMs) : [];
  }
}
