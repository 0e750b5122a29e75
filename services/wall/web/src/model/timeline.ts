/** A camera's recorded history as the page uses it. Times in Unix ms. */

import type { TimelineView } from "../api/generated.js";
import type { Tier } from "../api/types.js";

export interface Span {
  fromMs: number;
  toMs: number;
}

/** A range's tier; `archived-` where only the archive has it. */
export type Footage = Tier | `archived-${Tier}`;

export interface Timeline extends Span {
  camera: string;
  ranges: (Span & { kind: Footage })[];
  gaps: (Span & { cause: string; detail: string })[];
  /** Recorded, with damaged pictures. */
  damage: Span[];
  activity: (Span & { level: number })[];
}

/** The server's timeline with its times as numbers; entries whose times cannot be read are left out. */
export function parseTimeline(body: TimelineView): Timeline {
  return {
    camera: body.camera,
    fromMs: Date.parse(body.from),
    toMs: Date.parse(body.to),
    ranges: spans(body.ranges, ({ tier, archived }) => ({ kind: archived ? (`archived-${tier}` as const) : tier })),
    gaps: spans(body.gaps, ({ cause, detail }) => ({ cause, detail })),
    damage: spans(body.damage, () => ({})),
    activity: spans(body.activity, ({ level }) => ({ level })),
  };
}

function spans<T extends { from: string; to: string }, U>(entries: readonly T[] | undefined, rest: (entry: T) => U) {
  return (entries ?? [])
    .map((entry) => ({ fromMs: Date.parse(entry.from), toMs: Date.parse(entry.to), ...rest(entry) }))
    .filter((span) => span.toMs >= span.fromMs)
    .sort((a, b) => a.fromMs - b.fromMs);
}

export function at<T extends Span>(entries: readonly T[], ms: number): T | undefined {
  return entries.find((entry) => ms >= entry.fromMs && ms < entry.toMs);
}

/** What is there at a moment. */
export type Moment =
  | { kind: "recorded"; footage: Footage; damaged: boolean }
  | { kind: "gap"; cause: string; detail: string }
  | { kind: "nothing" };

export function momentAt(timeline: Timeline, ms: number): Moment {
  const range = at(timeline.ranges, ms);
  if (range) return { kind: "recorded", footage: range.kind, damaged: at(timeline.damage, ms) !== undefined };
  const gap = at(timeline.gaps, ms);
  if (gap) return { kind: "gap", cause: gap.cause, detail: gap.detail };
  return { kind: "nothing" };
}
