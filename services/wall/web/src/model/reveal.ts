/**
 * The instant picture, seen from the page: the twin of `services/wall/relay/sending/catch_up.py`.
 *
 * After an aim the relay replays the cached GOP fast. The page shows its first frame, standing, and reveals the moving
 * video when the presented frame is a live one. This machine decides; `media/picture.ts` acts.
 *
 * What is on the screen, by phase: nothing (`idle`, `aimed`, `covered`); the video, which stands on the replay's first
 * frame (`bare`); a copy of a frame over the video, which goes on below it (`still`); the moving video (`shown`). The last
 * column is the phase of the relay's machine in which that happens.
 *
 * | from | when | to | relay |
 * |---|---|---|---|
 * | any | aimed at no camera | idle | |
 * | any | aimed at another camera, or between live and recorded | aimed | none |
 * | any | the video element got another session's track | aimed; what was seen stays as a copy | none |
 * | aimed | notice: a replay begins, or frames flow | covered | first |
 * | covered, bare, still | notice: another replay begins | no change; it is one catch-up, and the limit runs on | first |
 * | shown, live | notice: a replay begins whose end was not presented yet | bare | first |
 * | shown, recorded | notice: a replay begins | still | first |
 * | covered, live | the replay's first frame | bare | unseen |
 * | covered, recorded | the replay's first frame | still | unseen |
 * | bare | another frame | still; the video below goes on to the present | rest |
 * | still, recorded | the first frame of a moment that takes long (`NEAREST_AFTER_MS`), or that another replay led to | still, copied anew once | rest |
 * | covered, bare, still | a frame at or after the replay's end | shown | none |
 * | covered, bare, still | a frame of the replay, after `CATCH_UP_LIMIT_MS` | shown | any |
 * | bare, still | the clock stands, the replay is out, no frame for `REST_MS` | shown | none |
 *
 * The first frame of each replay that comes to the screen, be it covered, is told to the relay once (`takeSeen`): that is
 * its way from unseen to rest.
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

/** What is known of the replay that is on its way. */
interface Replay {
  /** When the catch-up began, be it with another replay. */
  sinceMs: number;
  firstRtp: number | null;
  /** Of its newest frame: those from here on are live. */
  liveRtp: number | null;
  /** Where the replay before this one ended. If this one leads on from there, that frame is its nearest picture. */
  nearRtp: number | null;
  /** The copy on the screen is of this replay. */
  near: boolean;
  /** The relay says that the replay is out. */
  flowing: boolean;
  /** A frame of it has come to the screen. */
  seen: boolean;
  /** The frame on the screen when it began, of a replay that it takes the place of. */
  oldRtp: number | null;
}

type Phase =
  | { name: "idle" }
  /** The aim is on its way; frames presented now belong to the camera before. */
  | { name: "aimed" }
  | { name: "covered"; replay: Replay }
  /** To copy sixteen frames keeps a page from showing any for 100 ms: so the first stands bare. `rtp` is that frame. */
  | { name: "bare"; replay: Replay; rtp: number }
  | { name: "still"; replay: Replay }
  | { name: "shown" };

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
    return this.phase.name !== "idle" && this.phase.name !== "shown";
  }

  /** The replay that is on its way. */
  private get replay(): Replay | null {
    return "replay" in this.phase ? this.phase.replay : null;
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
    const wasShown = this.phase.name === "shown" || this.phase.name === "bare";
    this.lastRtp = null;
    this.phase = this.camera === null ? { name: "idle" } : { name: "aimed" };
    return wasShown ? "still" : "none";
  }

  notice(notice: SlotNotice, nowMs: number): PictureAction {
    if (notice.camera === null || notice.camera !== this.camera || notice.source !== this.source) return "none";
    if (notice.state === "catching-up") return this.replayBegins(notice, nowMs);
    if (notice.state !== "live" && notice.state !== "playing" && notice.state !== "paused") return "none";
    if (this.replay) {
      this.replay.flowing = true;
      return this.replay.liveRtp === null ? "none" : this.again(nowMs);
    }
    if (this.phase.name !== "aimed") return "none";
    const replay = newReplay(nowMs, notice.first_rtp ?? null, notice.live_rtp);
    this.phase = { name: "covered", replay: { ...replay, flowing: true } };
    return notice.live_rtp === null ? "none" : this.again(nowMs);
  }

  private replayBegins(notice: SlotNotice, nowMs: number): PictureAction {
    const liveRtp = notice.live_rtp;
    const firstRtp = notice.first_rtp ?? (liveRtp === null ? null : liveRtp - COMPRESSED_GOP_TICKS);
    if (this.phase.name === "shown") {
      if (liveRtp !== null && this.isAtOrAfter(liveRtp)) return "none";
      const replay = newReplay(nowMs, firstRtp, liveRtp);
      if (this.source === "recorded") {
        this.phase = { name: "still", replay };
        return "still";
      }
      this.phase = { name: "bare", replay, rtp: this.lastRtp ?? UNKNOWN_RTP };
      return "bare";
    }
    const before = this.replay;
    const nearRtp = before?.liveRtp ?? null;
    const overtaken = nearRtp !== null && this.isAtOrAfter(nearRtp);
    const oldRtp = before && !overtaken ? this.lastRtp : null;
    const replay = { ...newReplay(before?.sinceMs ?? nowMs, firstRtp, liveRtp), nearRtp, oldRtp };
    this.phase = "replay" in this.phase ? { ...this.phase, replay } : { name: "covered", replay };
    return this.again(nowMs);
  }

  /**
   * The clock stands, the replay is out, and no frame came for `REST_MS`. A browser does not tell of a frame that it
   * presents between two callbacks, or before it was asked to tell: the video has it all the same.
   */
  rest(): PictureAction {
    if (!this.replay?.flowing || this.phase.name === "covered") return "none";
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
  private isNearest(replay: Replay, rtp: number, nowMs: number): boolean {
    if (replay.near || this.source !== "recorded") return false;
    const goesOn = replay.nearRtp !== null && reached(rtp, replay.nearRtp);
    return goesOn || nowMs - replay.sinceMs >= NEAREST_AFTER_MS;
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
    if (!("replay" in phase)) return "none";
    const replay = phase.replay;
    const own = rtp !== undefined && replay.firstRtp !== null && rtpDifference(rtp, replay.firstRtp) >= 0;
    if (own && !replay.seen && rtp !== replay.oldRtp) {
      replay.seen = true;
      this.seenRtp = rtp;
    }
    const late = nowMs - replay.sinceMs > CATCH_UP_LIMIT_MS && (own || replay.firstRtp === null);
    const live = rtp === undefined || replay.liveRtp === null ? replay.flowing : reached(rtp, replay.liveRtp);
    if (live || late) {
      this.phase = { name: "shown" };
      return "reveal";
    }
    if (own && phase.name === "covered" && this.source === "live") {
      this.phase = { name: "bare", replay, rtp };
      return "bare";
    }
    const goesOn = phase.name === "bare" && rtp !== phase.rtp;
    if (goesOn || (own && (phase.name === "covered" || this.isNearest(replay, rtp, nowMs)))) {
      replay.near = true;
      this.phase = { name: "still", replay };
      return "still";
    }
    return "none";
  }
}

/** A replay of which nothing has been seen, behind nothing. */
function newReplay(sinceMs: number, firstRtp: number | null, liveRtp: number | null): Replay {
  return { sinceMs, firstRtp, liveRtp, nearRtp: null, near: false, flowing: false, seen: false, oldRtp: null };
}
