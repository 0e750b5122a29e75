/** Repeats a read: on request (at most once a second), every `periodMs`, and with backoff after a failure. */

import { Backoff } from "../model/backoff.js";

const SPACING_MS = 1000;

export class Refresher {
  private timer: ReturnType<typeof setTimeout> | null = null;
  private running = false;
  private again = false;
  private startedMs = Number.NEGATIVE_INFINITY;
  private readonly backoff = new Backoff(1000, 10_000);

  /** `read` rejects when it has to be tried again. */
  constructor(
    private readonly read: () => Promise<void>,
    private readonly periodMs: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Reads soon. Calls in quick succession become one read. */
  trigger(): void {
    if (this.running) this.again = true;
    else this.schedule(Math.max(0, this.startedMs + SPACING_MS - this.now()));
  }

  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  private schedule(ms: number): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.run(), ms);
  }

  private async run(): Promise<void> {
    this.timer = null;
    this.running = true;
    this.again = false;
    this.startedMs = this.now();
    let waitMs = this.periodMs;
    try {
      await this.read();
      this.backoff.reset();
    } catch {
      // The read has reported its failure; here it only shortens the wait.
      waitMs = this.backoff.next();
    }
    this.running = false;
    this.schedule(this.again ? SPACING_MS : waitMs);
  }
}
