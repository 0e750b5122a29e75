/** Where a tour stands: the same on every screen that began it at the same moment. Times in Unix ms. */

import type { ScreenStop } from "../api/generated.js";

export interface TourPosition {
  stop: number;
  /** When the next stop is due. */
  untilMs: number;
}

/** The stop at `nowMs` of a tour that began at `beganMs`; null where it has none. */
export function tourPosition(stops: readonly ScreenStop[], beganMs: number, nowMs: number): TourPosition | null {
  const roundMs = stops.reduce((sum, { dwell_seconds }) => sum + dwell_seconds * 1000, 0);
  if (roundMs <= 0) return null;
  const rounds = Math.floor(Math.max(nowMs - beganMs, 0) / roundMs);
  let untilMs = beganMs + rounds * roundMs;
  for (const [stop, { dwell_seconds }] of stops.entries()) {
    untilMs += dwell_seconds * 1000;
    if (nowMs < untilMs) return { stop, untilMs };
  }
  return { stop: 0, untilMs: untilMs + (stops[0]?.dwell_seconds ?? 0) * 1000 };
}
