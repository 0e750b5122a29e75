/** Notices a video that stands still although the relay says that it flows. */

export const FROZEN_AFTER_MS = 3000;
/** … when the relay sends keyframes alone: cameras have up to 10 s between them. */
export const KEYFRAMES_FROZEN_AFTER_MS = 15_000;

export class FreezeWatch {
  private frames = -1;
  private changedMs = 0;

  /**
   * Feed it the count of frames presented so far, about once a second; `expected` is false while none have to come
   * (paused, waiting, page hidden); `afterMs` is how long is too long. Returns since when the picture stands still (ms), or null.
   */
  sample(nowMs: number, frames: number, expected: boolean, afterMs = FROZEN_AFTER_MS): number | null {
    if (!expected || frames !== this.frames) {
      this.frames = frames;
      this.changedMs = nowMs;
      return null;
    }
    return nowMs - this.changedMs >= afterMs ? this.changedMs : null;
  }
}
