/** The session's clock between its notices, and its speeds. */

export interface ClockReading {
  at_us: number;
  rate: number;
  playing: boolean;
  /** Local time (ms) of the notice. */
  receivedMs: number;
}

/** Where the clock stands at local time `nowMs`, in Unix ms. */
export function clockMs(reading: ClockReading, nowMs: number): number {
  const elapsedMs = reading.playing ? (nowMs - reading.receivedMs) * reading.rate : 0;
  return reading.at_us / 1000 + elapsedMs;
}

export const RATES = [0.25, 0.5, 1, 2, 4, 8, 16, 32, 64] as const;

/** The next slower or faster speed, in the direction that `rate` has. */
export function nextRate(rate: number, by: 1 | -1): number {
  const direction = rate < 0 ? -1 : 1;
  const at = RATES.findIndex((candidate) => candidate >= Math.abs(rate) - 1e-9);
  const index = Math.min(Math.max((at < 0 ? RATES.length - 1 : at) + by, 0), RATES.length - 1);
  return direction * (RATES[index] ?? 1);
}
