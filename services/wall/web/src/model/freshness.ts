/**
 * Whether the picture on the screen is fresh: the last that the camera delivered, not an older one.
 *
 * | from | when | to |
 * |---|---|---|
 * | any | aimed at another camera, or between live and recorded | fresh from now on |
 * | fresh | a frame after the replay's end, or of a recording | fresh |
 * | fresh | no such frame for longer than one may take | stale since the last one |
 * | stale | frames of a replay, another session, no frames | stale |
 * | stale | a frame after the replay's end, or of a recording | fresh |
 * | any | no frames are due: paused, waiting, the page hidden | as it was; the time does not count |
 */

import type { Source } from "../api/types.js";
import { rtpDifference } from "./rtp.js";

/** Frames are looked at four times a second, so this is told within two seconds of the last frame. */
export const STALE_AFTER_MS = 1400;
/** A recording may take longer to be read: nobody acts on it as on the present. */
const RECORDED_STALE_AFTER_MS = 3000;
/** A camera with few frames a second gets the time of so many. */
const FRAMES = 2.5;
/** Where keyframes alone are sent: cameras have up to 10 s between them. */
const KEYFRAMES_STALE_AFTER_MS = 15_000;
/** From this rate on, and backwards, a recording plays by keyframes. */
const KEYFRAMES_RATE = 8;

export interface Pace {
  source: Source;
  /** Of the camera; 0 where it is not known. */
  framesPerSecond: number;
  /** The server sends keyframes alone, for this page's sake. */
  keyframesOnly: boolean;
  /** Of the playback clock. */
  rate: number;
}

/** How long the next frame may take. */
export function allowanceMs({ source, framesPerSecond, keyframesOnly, rate }: Pace): number {
  const byKeyframes = source === "recorded" && (rate < 0 || rate >= KEYFRAMES_RATE);
  if (keyframesOnly || byKeyframes) return KEYFRAMES_STALE_AFTER_MS;
  const least = source === "live" ? STALE_AFTER_MS : RECORDED_STALE_AFTER_MS / Math.min(rate, 1);
  return framesPerSecond > 0 ? Math.max(least, (FRAMES * 1000) / framesPerSecond) : least;
}

export class Freshness {
  private freshMs = 0;
  private staleSince: number | null = null;
  /** Frames up to here repeat what was shown before; `all` where the replay's end is not known. */
  private replayEnd: number | "all" | null = null;

  /** Since when (ms) the picture is not fresh; null while it is. */
  get staleSinceMs(): number | null {
    return this.staleSince;
  }

  /** Whether it takes a frame's timestamp to tell whether it is fresh. */
  get replaying(): boolean {
    return this.replayEnd !== null;
  }

  /** Aimed at another camera or source: what comes first is taken for fresh. */
  begin(nowMs: number): void {
    this.freshMs = nowMs;
    this.staleSince = null;
    this.replayEnd = null;
  }

  /** Cached frames come first, up to `endRtp`; null where that is not known. */
  replay(endRtp: number | null): void {
    this.replayEnd = endRtp ?? "all";
  }

  /** The replay is out. */
  flows(): void {
    if (this.replayEnd === "all") this.replayEnd = null;
  }

  /** The track has ended, or another session's begins: the picture is a copy of what was seen. */
  interrupt(): void {
    this.staleSince ??= this.freshMs;
    this.replayEnd = null;
  }

  /** A frame is on the screen; `rtp` is null in browsers that do not tell. */
  frame(rtp: number | null, nowMs: number): void {
    if (this.replayEnd === "all") return;
    if (this.replayEnd !== null && rtp !== null && rtpDifference(rtp, this.replayEnd) <= 0) return;
    this.replayEnd = null;
    this.freshMs = nowMs;
    this.staleSince = null;
  }

  /** No frame is due until now. */
  excuse(nowMs: number): void {
    if (this.staleSince === null) this.freshMs = nowMs;
  }

  /** A frame is due; call it a few times a second. */
  look(nowMs: number, withinMs: number): void {
    if (nowMs - this.freshMs > withinMs) this.staleSince ??= this.freshMs;
  }
}
