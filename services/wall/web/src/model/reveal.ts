/**
 * The instant picture, seen from the page.
 *
 * After an aim the relay replays the cached GOP fast. The page shows a still of its first frame, keeps the video hidden,
 * and reveals it when the presented frame is a live one. This machine decides; `media/picture.ts` acts.
 */

import type { SlotNotice } from "../api/generated.js";
import type { Source } from "../api/types.js";
import { reached, rtpDifference } from "./rtp.js";

/** Without `first_rtp`: a cached GOP is compressed to one tick a frame, so this many ticks reach back to its first frame. */
const COMPRESSED_GOP_TICKS = 1024;

/**
 * A recorded moment whose own picture takes longer than this is shown by the nearest one that there is. Sooner it would
 * only flicker: a step back shows a picture that lies one before, not the keyframe a second before it.
 */
export const NEAREST_AFTER_MS = 150;

/** A catch-up that takes longer than this is shown as it is. */
export const CATCH_UP_LIMIT_MS = 3000;

/** While the clock stands, a replay that is out and gives no new frame for so long has given its last one. */
export const REST_MS = 150;

/** No frame's timestamp. */
const UNKNOWN_RTP = -1;

/**
 * `bare`: show the video, which still stands on its first frame. `still`: copy the presented frame over the video.
 * `reveal`: show the video. `cover`: show neither.
 */
export type PictureAction = "none" | "bare" | "still" | "reveal" | "cover";

type Phase =
  | { name: "idle" }
  /** The aim is on its way; frames presented now belong to the camera before. */
  | { name: "aimed" }
  | {
      name: "catching";
      sinceMs: number;
      firstRtp: number | null;
      liveRtp: number | null;
      still: boolean;
      /** The frame that stands bare in place of a still: to copy sixteen keeps a page from showing any for 100 ms. */
      bareRtp: number | null;
      /** Of a replay that this one goes on from: its picture is to be seen until the present one's is there. */
      nearRtp: number | null;
      /** The still is of the present replay. */
      near: boolean;
      /** The relay says that the replay is over. */
      flowing: boolean;
      /** A frame of it has come to the screen, be it covered. */
      seen: boolean;
      /** What was on the screen before, of a replay that this one takes the place of. */
      oldRtp: number | null;
    }
  | { name: "shown" };

/** A catch-up of which nothing has been seen, behind nothing. */
const UNSEEN = { still: false, bareRtp: null, nearRtp: null, near: false, flowing: false, seen: false, oldRtp: null };

export class Reveal {
  private phase: Phase = { name: "idle" };
  private camera: string | null = null;
  private source: Source = "live";
  /** Of the frame on the screen: it may have overtaken the notice that tells what it is. */
  private lastRtp: number | null = null;
  /** For `takeSeen`. */
  private seenRtp: number | null = null;

  /** Whether the video (not a still) is what should be on the screen. */
  get shown(): boolean {
    return this.phase.name === "shown";
  }

  /** Whether presented frames have to be looked at. */
  get watching(): boolean {
    return this.phase.name === "catching" || this.phase.name === "aimed";
  }

  /** The tile was pointed at another camera, or between live and recorded. */
  aim(camera: string | null, source: Source): PictureAction {
    if (camera === this.camera && source === this.source) return "none";
    this.camera = camera;
    this.source = source;
    this.phase = camera === null ? { name: "idle" } : { name: "aimed" };
    return "cover";
  }

  /** The video element got another session's track: what comes first there is not known yet. */
  restart(): PictureAction {
    const wasShown = this.phase.name === "shown" || (this.phase.name === "catching" && this.phase.bareRtp !== null);
    this.lastRtp = null;
    this.phase = this.camera === null ? { name: "idle" } : { name: "aimed" };
    return wasShown ? "still" : "none";
  }

  notice(notice: SlotNotice, nowMs: number): PictureAction {
    if (notice.camera === null || notice.camera !== this.camera || notice.source !== this.source) return "none";
    if (notice.state === "catching-up") {
      const liveRtp = notice.live_rtp;
      const firstRtp = notice.first_rtp ?? (liveRtp === null ? null : liveRtp - COMPRESSED_GOP_TICKS);
      const before = this.phase;
      if (before.name === "shown" && liveRtp !== null && this.isAtOrAfter(liveRtp)) return "none";
      const still = before.name === "shown" || (before.name === "catching" && before.still);
      // One catch-up after the other is still one: the limit runs from the first.
      const sinceMs = before.name === "catching" ? before.sinceMs : nowMs;
      const [bareRtp, nearRtp] = before.name === "catching" ? [before.bareRtp, before.liveRtp] : [null, null];
      const overtaken = nearRtp !== null && this.isAtOrAfter(nearRtp);
      const oldRtp = before.name === "catching" && !overtaken ? this.lastRtp : null;
      const left = { still, bareRtp, nearRtp, oldRtp };
      this.phase = { ...UNSEEN, name: "catching", sinceMs, firstRtp, liveRtp, ...left };
      if (before.name !== "shown") return this.again(nowMs);
      if (this.source === "recorded") return "still";
      this.phase.bareRtp = this.lastRtp ?? UNKNOWN_RTP;
      return "bare";
    }
    const flowing = notice.state === "live" || notice.state === "playing" || notice.state === "paused";
    if (!flowing) return "none";
    if (this.phase.name === "catching") {
      this.phase.flowing = true;
      return this.phase.liveRtp === null ? "none" : this.again(nowMs);
    }
    if (this.phase.name === "aimed") {
      const liveRtp = notice.live_rtp;
      const firstRtp = notice.first_rtp ?? null;
      this.phase = { ...UNSEEN, name: "catching", sinceMs: nowMs, firstRtp, liveRtp, flowing: true };
      if (liveRtp !== null) return this.again(nowMs);
    }
    return "none";
  }

  /**
   * The clock stands, the replay is out, and no frame came for `REST_MS`. A browser does not tell of a frame that it
   * presents between two callbacks, or before it was asked to tell: the video has it all the same.
   */
  rest(): PictureAction {
    const phase = this.phase;
    if (phase.name !== "catching" || !phase.flowing || !phase.still) return "none";
    this.phase = { name: "shown" };
    return "reveal";
  }

  /** The first frame of a replay that has come to the screen; told once. */
  takeSeen(): number | null {
    const rtp = this.seenRtp;
    this.seenRtp = null;
    return rtp;
  }

  /** Whether a recorded frame is to be seen in place of the picture of another moment. */
  private isNearest(phase: Phase & { name: "catching" }, rtp: number, nowMs: number): boolean {
    if (phase.near || this.source !== "recorded") return false;
    const goesOn = phase.nearRtp !== null && reached(rtp, phase.nearRtp);
    return goesOn || nowMs - phase.sinceMs >= NEAREST_AFTER_MS;
  }

  private isAtOrAfter(rtp: number): boolean {
    return this.lastRtp !== null && reached(this.lastRtp, rtp);
  }

  /** Looks at the frame on the screen with what is known now. */
  private again(nowMs: number): PictureAction {
    return this.lastRtp === null ? "none" : this.frame(this.lastRtp, nowMs);
  }

  /** A frame was presented; `rtp` is missing in browsers that do not tell. */
  frame(rtp: number | undefined, nowMs: number): PictureAction {
    const phase = this.phase;
    this.lastRtp = rtp ?? null;
    if (phase.name !== "catching") return "none";
    const own = rtp !== undefined && phase.firstRtp !== null && rtpDifference(rtp, phase.firstRtp) >= 0;
    if (own && !phase.seen && rtp !== phase.oldRtp) {
      phase.seen = true;
      this.seenRtp = rtp;
    }
    const late = nowMs - phase.sinceMs > CATCH_UP_LIMIT_MS && (own || phase.firstRtp === null);
    const live = rtp === undefined || phase.liveRtp === null ? phase.flowing : reached(rtp, phase.liveRtp);
    if (live || late) {
      this.phase = { name: "shown" };
      return "reveal";
    }
    if (own && !phase.still && this.source === "live") {
      phase.still = true;
      phase.bareRtp = rtp;
      return "bare";
    }
    // The video goes on: what is live has to be seen, not how it comes to be.
    const goesOn = phase.bareRtp !== null && rtp !== phase.bareRtp;
    if (goesOn || (own && (!phase.still || this.isNearest(phase, rtp, nowMs)))) {
      phase.still = true;
      phase.bareRtp = null;
      phase.near = true;
      return "still";
    }
    return "none";
  }
}
