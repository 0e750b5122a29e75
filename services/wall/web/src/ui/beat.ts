/** The page's one beat: what is looked at or told a few times a second is so at the same moment. */

const BEATS_A_SECOND = 4;

/**
 * One timer for all who follow it. For a picture that is waited for, a browser goes through style, layout and paint of the
 * whole page: 36 tiles that ask at moments of their own keep it at that without a pause, and those that ask together have
 * their pictures in the same two or three turns.
 */
export class Beat {
  private readonly listeners = new Set<(count: number) => void>();
  private timer: ReturnType<typeof setInterval> | undefined;
  private count = 0;

  /** Calls `listener` at each beat, until the answer is called. */
  follow(listener: (count: number) => void): () => void {
    this.listeners.add(listener);
    this.timer ??= setInterval(() => this.tell(), 1000 / BEATS_A_SECOND);
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size > 0) return;
      clearInterval(this.timer);
      this.timer = undefined;
    };
  }

  /** As `follow`, but once a second. */
  followSeconds(listener: () => void): () => void {
    return this.follow((count) => count % BEATS_A_SECOND === 0 && listener());
  }

  private tell(): void {
    this.count += 1;
    for (const listener of [...this.listeners]) listener(this.count);
  }
}

export const beat = new Beat();
