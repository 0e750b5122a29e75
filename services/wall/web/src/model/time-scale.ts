/** Time ↔ pixel of the timeline. Times in Unix ms, lengths in CSS pixels. */

export interface TimeScale {
  fromMs: number;
  toMs: number;
  widthPx: number;
}

export const MIN_SPAN_MS = 10_000;
export const MAX_SPAN_MS = 40 * 86_400_000;

export function toPx(scale: TimeScale, ms: number): number {
  return ((ms - scale.fromMs) / (scale.toMs - scale.fromMs)) * scale.widthPx;
}

export function toMs(scale: TimeScale, px: number): number {
  return scale.fromMs + (px / Math.max(scale.widthPx, 1)) * (scale.toMs - scale.fromMs);
}

/** Makes the span `factor` times as long, around the moment at `aroundPx`. */
export function zoom(scale: TimeScale, factor: number, aroundPx: number): TimeScale {
  const span = scale.toMs - scale.fromMs;
  const newSpan = Math.min(Math.max(span * factor, MIN_SPAN_MS), MAX_SPAN_MS);
  const fixedMs = toMs(scale, aroundPx);
  const fromMs = fixedMs - (newSpan * aroundPx) / Math.max(scale.widthPx, 1);
  return { ...scale, fromMs, toMs: fromMs + newSpan };
}

export function pan(scale: TimeScale, byPx: number): TimeScale {
  const byMs = (byPx / Math.max(scale.widthPx, 1)) * (scale.toMs - scale.fromMs);
  return { ...scale, fromMs: scale.fromMs + byMs, toMs: scale.toMs + byMs };
}

/** Moves the window so that `ms` is in it: stays where it is while it fits, else puts it at a fifth from the edge it left by. */
export function reveal(scale: TimeScale, ms: number): TimeScale {
  const span = scale.toMs - scale.fromMs;
  if (ms >= scale.fromMs && ms <= scale.toMs) return scale;
  const fromMs = ms < scale.fromMs ? ms - span * 0.8 : ms - span * 0.2;
  return { ...scale, fromMs, toMs: fromMs + span };
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [
  SECOND,
  5 * SECOND,
  10 * SECOND,
  30 * SECOND,
  MINUTE,
  5 * MINUTE,
  10 * MINUTE,
  30 * MINUTE,
  HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  2 * DAY,
  7 * DAY,
];

export interface Tick {
  ms: number;
  px: number;
  /** What to write there: seconds, minutes, or the day where one begins. */
  unit: "second" | "minute" | "day";
}

/**
 * Ticks at round local times, at least `spacingPx` apart. `offsetMinutes` tells the local zone's offset from UTC at a
 * time (`zoneOffsetMinutes`).
 */
export function ticks(scale: TimeScale, spacingPx: number, offsetMinutes: (ms: number) => number): Tick[] {
  const span = scale.toMs - scale.fromMs;
  const wanted = (span * spacingPx) / Math.max(scale.widthPx, 1);
  const stepMs = STEPS.find((step) => step >= wanted) ?? 14 * DAY;
  const offsetMs = offsetMinutes(scale.fromMs) * MINUTE;
  const result: Tick[] = [];
  for (let local = Math.ceil((scale.fromMs + offsetMs) / stepMs) * stepMs; ; local += stepMs) {
    const ms = local - offsetMs;
    if (ms > scale.toMs) return result;
    const unit = local % DAY === 0 ? "day" : stepMs < MINUTE ? "second" : "minute";
    result.push({ ms, px: toPx(scale, ms), unit });
  }
}
