/** Detects a video that is frozen although the relay says that it flows. */

export const FROZEN_AFTER_MS = 3000;
/** … when the relay sends keyframes alone: cameras have up to 10 s between them. */
export const KEYFRAMES_FROZEN_AFTER_MS = 15_000;

export class FreezeWatch {
  private frames = -1;
  private changedMs = 0;

  /**
   * Takes the count of frames presented so far, about once a second. `expected` is false while none are due (paused, waiting,
   * page hidden); after `afterMs` without a frame the picture counts as frozen. Returns since when (ms), or null.
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
