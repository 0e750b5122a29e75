/** Notices a video that stands still although the relay says that it flows. */

export const FROZEN_AFTER_MS = 3000;

export class FreezeWatch {
  private frames = -1;
  private changedMs = 0;

  /**
   * Feed it the count of frames presented so far, about once a second; `expected` is false while none have to come
   * (paused, waiting, page hidden). Returns since when the picture stands still (ms), or null.
   */
  sample(nowMs: number, frames: number, expected: boolean): number | null {
    if (!expected || frames !== this.frames) {
      this.frames = frames;
      this.changedMs = nowMs;
      return null;
    }
    return nowMs - this.changedMs >= FROZEN_AFTER_MS ? this.changedMs : null;
  }
}
