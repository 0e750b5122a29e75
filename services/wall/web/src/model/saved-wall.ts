/** A saved wall as the wall's state, and the other way round. */

import type { Layout, LayoutInput, LayoutTile } from "../api/generated.js";
import { layoutOf, type TileSpan } from "./layout.js";
import { INITIAL_WALL, type TileState, type WallState } from "./wall.js";

/** What is saved of a wall: what its grid shows, not what a larger grid would. */
export function arrangementOf(wall: WallState): Required<Pick<LayoutInput, "grid" | "tiles" | "hotspot">> {
  const tiles = layoutOf(wall.layout).cells.map((_, index): LayoutTile => {
    const span = wall.spans[index];
    const camera = index === wall.hotspot ? null : (wall.tiles[index]?.camera ?? null);
    return { camera, columns: span?.columns ?? null, rows: span?.rows ?? null };
  });
  return { grid: wall.layout, tiles, hotspot: wall.hotspot };
}

/** The saved wall, live. */
export function wallOf({ grid, tiles, hotspot }: Pick<Layout, "grid" | "tiles" | "hotspot">): WallState {
  const spans: Record<number, TileSpan> = {};
  tiles.forEach(({ columns, rows }, index) => {
    if (columns !== null && rows !== null) spans[index] = { columns, rows };
  });
  return {
    ...INITIAL_WALL,
    layout: grid,
    tiles: tiles.map(({ camera }): TileState => ({ camera, source: "live" })),
    spans,
    hotspot: hotspot !== null && hotspot < layoutOf(grid).cells.length ? hotspot : null,
    automatic: null,
  };
}

/** Of the walls on one key one's own goes first, then the one changed last. */
export function onKey(layouts: readonly Layout[], key: number, me: string): Layout | undefined {
  const own = ({ owner, audience }: Layout) => Number(owner === me && audience === "personal");
  return layouts
    .filter((layout) => layout.key === key)
    .sort((a, b) => own(b) - own(a) || b.changed_us - a.changed_us)[0];
}

/** The walls whose names have all words of `query`, those that begin with it first. */
export function walls(layouts: readonly Layout[], query: string): Layout[] {
  const asked = query.trim().toLowerCase();
  const words = asked.split(/\s+/).filter(Boolean);
  const begins = ({ name }: Layout) => Number(name.toLowerCase().startsWith(asked));
  return layouts
    .filter(({ name }) => words.every((word) => name.toLowerCase().includes(word)))
    .sort((a, b) => begins(b) - begins(a));
}
