/** A saved wall as the wall's state, and the other way round. */

import type { Arrangement, ArrangementInput, Layout, LayoutInput, LayoutTile } from "../api/generated.js";
import { layoutOf, type TileSpan } from "./layout.js";
import { INITIAL_WALL, type TileState, type WallState, wallCells } from "./wall.js";

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

/** A screen's wall with one more camera: in its first empty tile, else the camera alone. */
export function withCamera(wall: Arrangement | null, camera: string): Required<ArrangementInput> {
  if (wall?.tiles.some((tile) => tile.camera === camera)) return wall;
  const free = wall ? freeTile(wall) : -1;
  const alone = { camera, columns: null, rows: null };
  if (!wall || free < 0) return { grid: "1", tiles: [alone], hotspot: null };
  const tiles = Array.from({ length: Math.max(wall.tiles.length, free + 1) }, (_, i) => {
    const tile = wall.tiles[i] ?? { camera: null, columns: null, rows: null };
    return i === free ? { ...tile, camera } : tile;
  });
  return { ...wall, tiles };
}

function freeTile(wall: Arrangement): number {
  const { tiles, hotspot } = wallOf(wall);
  const cells = wallCells(wallOf(wall));
  return cells.findIndex((cell, i) => cell !== null && i !== hotspot && (tiles[i]?.camera ?? null) === null);
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
