/** What the clock does where no recorded tile has a picture. */

import type { SlotNotice } from "../api/generated.js";

/** Nearer to now than this the recorders may have more in a moment. */
const PRESENT_MS = 60_000;

export type GapMove = { do: "jump"; toMs: number } | { do: "stop" };

/**
 * `notices`: of all recorded tiles, null where nothing is known yet. While all of them stand in gaps, a clock that runs
 * forwards goes on where the first of them ends; where none ends, it stops. Null: it runs on.
 */
export function moveOverGap(notices: readonly (SlotNotice | null)[], atMs: number, nowMs: number): GapMove | null {
  if (notices.length === 0 || notices.some((notice) => notice?.state !== "gap")) return null;
  const ends = notices.flatMap((notice) => (typeof notice?.until_us === "number" ? [notice.until_us / 1000] : []));
  const ahead = ends.filter((ms) => ms > atMs);
  if (ahead.length > 0) return { do: "jump", toMs: Math.min(...ahead) };
  if (ends.length > 0 || nowMs - atMs < PRESENT_MS) return null;
  return { do: "stop" };
}
