/**
 * The server's time on this page. What is recorded and what happened bear the server's time: a workstation whose own
 * clock is wrong would look for the last five minutes in the wrong hour.
 */

const SECOND_MS = 1000;
let aheadMs = 0;

/** The server's time, Unix ms. */
export function siteNow(): number {
  return Date.now() + aheadMs;
}

/**
 * Takes an answer's `Date`, which is in whole seconds (RFC 9110, 6.6.1), for a request that was sent and answered at
 * these local times. They bound how far the server's clock is ahead; what is known of it moves no further than needed,
 * so a clock that is right is left as it is.
 */
export function noteServerTime(date: string | null, sentMs: number, receivedMs: number): void {
  const secondMs = Date.parse(date ?? "");
  if (Number.isNaN(secondMs)) return;
  aheadMs = Math.min(Math.max(aheadMs, secondMs - receivedMs), secondMs + SECOND_MS - sentMs);
}
