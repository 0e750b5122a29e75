/** Waiting times between attempts: doubling, each between half and the whole of it at random, so that walls do not reconnect all at once. */

export class Backoff {
  private attempt = 0;

  /** `random` gives numbers in [0, 1). */
  constructor(
    private readonly firstMs: number,
    private readonly largestMs: number,
    private readonly random: () => number = Math.random,
  ) {}

  /** How long to wait before the next attempt. */
  next(): number {
    const ceiling = Math.min(this.largestMs, this.firstMs * 2 ** this.attempt);
    this.attempt = Math.min(this.attempt + 1, 30);
    return ceiling / 2 + (ceiling / 2) * this.random();
  }

  /** Attempts since the last success. */
  get attempts(): number {
    return this.attempt;
  }

  reset(): void {
    this.attempt = 0;
  }
}
