/** How far this page's decoders are behind what it is sent, gathered over the tiles. */

/** Told to the relay so often. */
const TELL_MS = 1000;
/** What a tile said longer ago does not count: it shows something else by now, or nothing. */
const LASTS_MS = 2500;

export class Lateness {
  private readonly tiles = new Map<number, { lateMs: number; atMs: number }>();
  private toldMs = Number.NEGATIVE_INFINITY;

  /** A recorded tile's newest picture came `lateMs` after its arrival. Returns what is to be told now: the latest tile's. */
  note(slot: number, lateMs: number, nowMs: number): number | null {
    this.tiles.set(slot, { lateMs: Math.max(0, lateMs), atMs: nowMs });
    if (nowMs - this.toldMs < TELL_MS) return null;
    this.toldMs = nowMs;
    const known = [...this.tiles.values()].filter(({ atMs }) => nowMs - atMs < LASTS_MS);
    return Math.max(...known.map((tile) => tile.lateMs));
  }
}
