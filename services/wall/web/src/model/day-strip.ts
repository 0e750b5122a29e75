/** One day of one camera, midnight to midnight in the site's zone. Times in Unix ms. */

import type { Span, Timeline } from "./timeline.js";
import { type CivilTime, civilTime, momentOfCivil, siteZone } from "./zone.js";

const DAY_MS = 86_400_000;
/** Somewhere in the next day, through every change of the offset. */
const INTO_NEXT_DAY_MS = 30 * 3_600_000;

function midnight(ms: number, zone: string | undefined): number {
  const civil: CivilTime = { ...civilTime(ms, zone), hour: 0, minute: 0, second: 0 };
  return momentOfCivil(civil, zone) ?? ms;
}

/** The day that `atMs` lies in. */
export function dayOf(atMs: number, zone = siteZone.value): Span {
  const fromMs = midnight(atMs, zone);
  return { fromMs, toMs: midnight(fromMs + INTO_NEXT_DAY_MS, zone) };
}

/** The same time of the day before (−1) or after (1). */
export function otherDay(atMs: number, by: 1 | -1): number {
  return atMs + by * DAY_MS;
}

/** Where what is recorded begins, over all cameras; null where nothing is. */
export function firstRecorded(timelines: Iterable<Timeline>): number | null {
  const starts = [...timelines].flatMap(({ ranges }) => ranges.slice(0, 1).map(({ fromMs }) => fromMs));
  return starts.length > 0 ? Math.min(...starts) : null;
}

const MARGIN = 0.04;
const LEAST_MS = 60_000;

/** The first window of the timeline: what is recorded of `asked`, no more, with a margin. */
export function fitted(asked: Span, timelines: Iterable<Timeline>, nowMs: number): Span {
  const first = firstRecorded(timelines);
  if (first === null || first <= asked.fromMs) return asked;
  const toMs = Math.max(Math.min(asked.toMs, nowMs), first + LEAST_MS);
  const margin = (toMs - first) * MARGIN;
  return { fromMs: first - margin, toMs: toMs + margin };
}
