/** The range that is marked on the timeline for an export or an incident. */

import type { Span } from "./timeline.js";

export type MarkedEdge = "from" | "to";

/** With one edge alone the range is so long. */
const FIRST_LENGTH_MS = 60_000;

/** The range with one edge at `atMs`; the other one stays where it is still on its side. */
export function markedRange(range: Span | null, edge: MarkedEdge, atMs: number, nowMs: number): Span {
  if (edge === "from") {
    const toMs = range && range.toMs > atMs ? range.toMs : atMs + FIRST_LENGTH_MS;
    return { fromMs: atMs, toMs: Math.min(toMs, nowMs) };
  }
  const fromMs = range && range.fromMs < atMs ? range.fromMs : atMs - FIRST_LENGTH_MS;
  return { fromMs, toMs: Math.min(atMs, nowMs) };
}
