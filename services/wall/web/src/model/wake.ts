/** Whether the page has stood still: its computer slept, or the browser had frozen it. */

/** Browsers let the timers of a page in the background run once a minute (Chromium, intensive throttling). */
export const STOOD_STILL_MS = 70_000;

export class WakeWatch {
  private lookedMs: number;

  /** `now`: a clock that goes on in sleep, as `performance.now()` does not everywhere. */
  constructor(private readonly now: () => number = () => Date.now()) {
    this.lookedMs = now();
  }

  /** Call it about once a second: true where the page stood still until now. */
  look(): boolean {
    const nowMs = this.now();
    const stood = nowMs - this.lookedMs > STOOD_STILL_MS;
    this.lookedMs = nowMs;
    return stood;
  }
}
