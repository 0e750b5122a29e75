/** How far this page's decoders are behind: the largest delay of all tiles. */

/** Time between two reports to the relay. */
const REPORT_MS = 1000;
/** Older reports of a tile do not count: it may show something else by now. */
const LASTS_MS = 2500;

export class Lateness {
  private readonly tiles = new Map<number, { lateMs: number; atMs: number }>();
  private reportedMs = Number.NEGATIVE_INFINITY;

  /** A recorded tile's newest picture came `lateMs` after its arrival. Returns the largest delay when a report is due, else null. */
  note(slot: number, lateMs: number, nowMs: number): number | null {
    this.tiles.set(slot, { lateMs: Math.max(0, lateMs), atMs: nowMs });
    if (nowMs - this.reportedMs < REPORT_MS) return null;
    this.reportedMs = nowMs;
    const known = [...this.tiles.values()].filter(({ atMs }) => nowMs - atMs < LASTS_MS);
    return Math.max(...known.map((tile) => tile.lateMs));
  }
}
