/** Which cameras and which range a dialog about footage begins with. */

import type { Incident } from "../api/generated.js";
import type { Span } from "./timeline.js";

const BEFORE_MS = 60_000;
const SHORTEST_MS = 1000;

/** The incident's range (till now while it goes on), else what is marked, else the minute up to the moment on the screen. */
export function footageRange(incident: Incident | null, marked: Span | null, momentMs: number, nowMs: number): Span {
  if (incident) {
    const toMs = incident.to_us === null ? nowMs : incident.to_us / 1000;
    return { fromMs: incident.from_us / 1000, toMs: Math.min(toMs, nowMs) };
  }
  return marked ?? { fromMs: momentMs - BEFORE_MS, toMs: momentMs };
}

/** As the forms show it, in whole seconds: what was meant lies within them, and nothing of the future. */
export function wholeSeconds({ fromMs, toMs }: Span, nowMs: number): Span {
  const [from, to] = [Math.floor(fromMs / 1000), Math.min(Math.ceil(toMs / 1000), Math.floor(nowMs / 1000))];
  return { fromMs: from * 1000, toMs: to * 1000 };
}

export function validRange(fromMs: number | null, toMs: number | null): Span | null {
  if (fromMs === null || toMs === null || toMs - fromMs < SHORTEST_MS) return null;
  return { fromMs, toMs };
}
