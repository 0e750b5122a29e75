/** The wall's state, and pure functions that change it. Tile n is the session's slot n. */

import type { Source } from "../api/types.js";
import {
  type Cell,
  type Direction,
  fittingSpan,
  type LayoutName,
  layoutOf,
  neighbour,
  placed,
  smallestFor,
  type TileSpan,
  type TileSpans,
} from "./layout.js";

export interface TileState {
  camera: string | null;
  source: Source;
}

export interface WallState {
  layout: LayoutName;
  /** As many as the largest layout used so far: tiles beyond the present layout come back when it grows. */
  tiles: readonly TileState[];
  /** Tiles that were dragged larger; the tiles that they cover come back when they shrink. */
  spans: TileSpans;
  selected: number;
  enlarged: number | null;
  /** The tile that shows the camera of the tile selected last. */
  hotspot: number | null;
  /** What the hotspot shows. */
  followed: string | null;
  /** Not arranged yet: the wall fills itself with the first cameras by name. Null once it is arranged. */
  automatic: Filling | null;
}

/** How a wall that is not arranged fills itself. */
export interface Filling {
  /** The layout asked for; null for one that fits the cameras. */
  layout: LayoutName | null;
  source: Source;
}

export const EMPTY_TILE: TileState = { camera: null, source: "live" };

export const INITIAL_WALL: WallState = {
  layout: "4",
  tiles: [],
  spans: {},
  selected: 0,
  enlarged: null,
  hotspot: null,
  followed: null,
  automatic: { layout: null, source: "live" },
};

export function tileCount(state: WallState): number {
  return layoutOf(state.layout).cells.length;
}

/** Each tile's place; null for one that is covered. */
export function wallCells(state: WallState): (Cell | null)[] {
  return placed(layoutOf(state.layout), state.spans);
}

/** What a tile was given, shown or not; of a hotspot what it follows. */
export function tileAt(state: WallState, index: number): TileState {
  const tile = state.tiles[index] ?? EMPTY_TILE;
  return index === state.hotspot ? { ...tile, camera: state.followed } : tile;
}

/** The tiles of the present layout; empty and covered ones are empty. */
export function visibleTiles(state: WallState): TileState[] {
  return wallCells(state).map((cell, i) => (cell ? tileAt(state, i) : EMPTY_TILE));
}

/** The different cameras on the wall, in the order of their tiles; of one source only where given. */
export function wallCameras(state: WallState, source?: Source): string[] {
  const ids = visibleTiles(state).flatMap((tile) =>
    tile.camera && (source === undefined || tile.source === source) ? [tile.camera] : [],
  );
  return [...new Set(ids)];
}

/** The cameras of an action that names none: the selected tile's, else all on the wall. */
export function meantCameras(state: WallState): string[] {
  const selected = tileAt(state, state.selected).camera;
  return selected === null ? wallCameras(state) : [selected];
}

function replace(state: WallState, changes: Record<number, TileState>): TileState[] {
  const length = Math.max(state.tiles.length, ...Object.keys(changes).map((key) => Number(key) + 1));
  return Array.from({ length }, (_, i) => changes[i] ?? state.tiles[i] ?? EMPTY_TILE);
}

/** The camera of the tile that fills the wall. */
export function enlargedCamera(state: WallState): string | null {
  return state.enlarged === null ? null : tileAt(state, state.enlarged).camera;
}

export function setLayout(state: WallState, layout: LayoutName): WallState {
  const dragged = Object.keys(state.spans).length > 0;
  if (layout === state.layout && state.tiles.length > 0 && !dragged) return { ...state, enlarged: null };
  const count = layoutOf(layout).cells.length;
  // Before the cameras are known there is nothing to arrange: they fill the chosen layout when they are.
  const automatic = state.automatic && state.tiles.length === 0 ? { ...state.automatic, layout } : null;
  return {
    ...state,
    layout,
    spans: {},
    enlarged: null,
    hotspot: state.hotspot !== null && state.hotspot < count ? state.hotspot : null,
    automatic,
    selected: state.selected < count ? state.selected : 0,
  };
}

/** Shows `camera` in a tile, keeping whether the tile is live or recorded. A hotspot that is emptied is one no longer. */
export function put(state: WallState, index: number, camera: string | null): WallState {
  if (index === state.hotspot && camera !== null) return { ...state, followed: camera };
  if (index !== state.hotspot && camera === tileAt(state, index).camera) return state;
  const source = camera === null ? "live" : tileAt(state, index).source;
  return {
    ...state,
    tiles: replace(state, { [index]: { camera, source } }),
    automatic: null,
    hotspot: index === state.hotspot ? null : state.hotspot,
    enlarged: camera === null && state.enlarged === index ? null : state.enlarged,
  };
}

export function swap(state: WallState, a: number, b: number): WallState {
  if (a === b || (tileAt(state, a).camera === null && tileAt(state, b).camera === null)) return state;
  const moved = (index: number | null) => (index === a ? b : index === b ? a : index);
  return {
    ...state,
    tiles: replace(state, { [a]: state.tiles[b] ?? EMPTY_TILE, [b]: state.tiles[a] ?? EMPTY_TILE }),
    automatic: null,
    hotspot: moved(state.hotspot),
    selected: b,
  };
}

/** Selects a tile; the hotspot follows to its camera. */
export function select(state: WallState, index: number): WallState {
  if (!wallCells(state)[index]) return state;
  const camera = state.hotspot === null || index === state.hotspot ? null : tileAt(state, index).camera;
  return { ...state, selected: index, followed: camera ?? state.followed };
}

export function move(state: WallState, direction: Direction): WallState {
  if (state.enlarged !== null) return enlargeNext(state, direction === "left" || direction === "up" ? -1 : 1);
  return select(state, neighbour(wallCells(state), state.selected, direction));
}

/** While one tile fills the wall the arrows go through the tiles that have a camera. */
function enlargeNext(state: WallState, step: 1 | -1): WallState {
  const tiles = visibleTiles(state);
  const count = tiles.length;
  for (let i = 1; i <= count; i++) {
    const index = (state.selected + step * i + count * i) % count;
    if (tiles[index]?.camera) return { ...select(state, index), enlarged: index };
  }
  return state;
}

export function toggleEnlarged(state: WallState, index: number): WallState {
  if (state.enlarged !== null) return { ...state, enlarged: null };
  if (!tileAt(state, index).camera) return state;
  return { ...state, selected: index, enlarged: index };
}

/** Makes a tile as large as asked, as far as it fits; its own size again where that is asked. */
export function setSpan(state: WallState, index: number, asked: TileSpan): WallState {
  const layout = layoutOf(state.layout);
  const own = layout.cells[index];
  const before = wallCells(state)[index];
  if (!own || !before) return state;
  const span = fittingSpan(layout, index, asked);
  if (span.columns === before.columns && span.rows === before.rows) return state;
  const { [index]: _, ...others } = state.spans;
  const plain = span.columns === own.columns && span.rows === own.rows;
  // First of all, so that no tile beside it keeps the size that this one needs.
  const free = plain ? others : freeOthers(state, index, span, others);
  return { ...state, spans: plain ? free : { ...free, [index]: span }, automatic: null };
}

/** The other tiles' sizes without those that would lie over the grown tile. */
function freeOthers(state: WallState, index: number, span: TileSpan, others: TileSpans): TileSpans {
  const layout = layoutOf(state.layout);
  const kept: Record<number, TileSpan> = {};
  for (const [key, other] of Object.entries(others)) {
    const both = placed(layout, { [index]: span, [key]: other });
    const mine = both[index];
    const its = both[Number(key)];
    const standing = mine?.columns === span.columns && mine.rows === span.rows;
    if (standing && its?.columns === other.columns && its.rows === other.rows) kept[Number(key)] = other;
  }
  return kept;
}

/** One step larger (1) or smaller (−1), in both directions as far as there is room. */
export function growTile(state: WallState, index: number, by: 1 | -1): WallState {
  const cell = wallCells(state)[index];
  if (!cell) return state;
  const layout = layoutOf(state.layout);
  for (let step = by; Math.abs(step) <= Math.max(layout.columns, layout.rows); step += by) {
    const asked = { columns: cell.columns + step, rows: cell.rows + step };
    const changed = setSpan(state, index, asked);
    if (changed !== state) return changed;
  }
  return state;
}

/** Makes a tile the hotspot; an ordinary empty tile again where it is already. */
export function toggleHotspot(state: WallState, index: number): WallState {
  if (state.hotspot === index) return { ...state, hotspot: null, followed: null, automatic: null };
  const followed = tileAt(state, index).camera;
  return {
    ...state,
    tiles: replace(state, { [index]: { camera: null, source: tileAt(state, index).source } }),
    hotspot: index,
    followed,
    automatic: null,
  };
}

/** A camera that is dragged from the list into a tile; one that is on the wall changes places. */
export function drop(state: WallState, index: number, camera: string): WallState {
  const shown = tileOf(state, camera);
  return shown === null || index === state.hotspot
    ? select(put(state, index, camera), index)
    : swap(state, shown, index);
}

/** Turns tiles that have a camera to the recording or back to live; all of them where `index` is missing. */
export function setSource(state: WallState, source: Source, index?: number): WallState {
  if (index !== undefined && tileAt(state, index).camera === null) return state;
  const tiles = state.tiles.map((tile, i) => {
    const given = tile.camera !== null || i === state.hotspot;
    return given && (index === undefined || i === index) ? { ...tile, source } : tile;
  });
  const automatic = index === undefined && state.automatic ? { ...state.automatic, source } : null;
  return { ...state, tiles, automatic };
}

/** Whether a tile shows the recording, or will as soon as the cameras are known. */
export function anyRecorded(state: WallState): boolean {
  if (state.automatic && state.tiles.length === 0) return state.automatic.source === "recorded";
  return visibleTiles(state).some((tile) => tile.source === "recorded");
}

/** The tile of the present layout that shows a camera, the hotspot aside; null where none does. */
export function tileOf(state: WallState, camera: string): number | null {
  const index = visibleTiles(state).findIndex((tile, i) => tile.camera === camera && i !== state.hotspot);
  return index < 0 ? null : index;
}

/**
 * The tile that a camera picked from the list goes to: the selected one, after which the next is selected. One that is
 * on the wall stays where it is.
 */
export function placeNext(state: WallState, camera: string): WallState {
  const shown = tileOf(state, camera);
  if (state.selected === state.hotspot) return put(state, state.selected, camera);
  if (shown !== null) {
    const seen = state.hotspot === null ? state : select(state, shown);
    return state.enlarged === null ? seen : { ...seen, selected: shown, enlarged: shown };
  }
  const done = put(state, state.selected, camera);
  if (state.enlarged !== null) return done;
  return { ...done, selected: nextTile(state) };
}

/** The tile after the selected one, past the hotspot and covered tiles. */
function nextTile(state: WallState): number {
  const cells = wallCells(state);
  for (let i = 1; i < cells.length; i++) {
    const index = (state.selected + i) % cells.length;
    if (cells[index] && index !== state.hotspot) return index;
  }
  return state.selected;
}

/** Arranges the wall for just these cameras. */
export function showCameras(state: WallState, cameras: readonly string[]): WallState {
  const layout = smallestFor(cameras.length);
  return {
    ...INITIAL_WALL,
    layout,
    tiles: cameras.slice(0, tileCount({ ...state, layout })).map((camera): TileState => ({ camera, source: "live" })),
    automatic: null,
  };
}

/** Fills the wall with the first cameras while it is not arranged. */
export function fill(state: WallState, cameras: readonly string[]): WallState {
  if (!state.automatic) return state;
  const { source } = state.automatic;
  const layout = state.automatic.layout ?? smallestFor(Math.max(cameras.length, 4), "16");
  const count = layoutOf(layout).cells.length;
  const tiles = cameras.slice(0, count).map((camera): TileState => ({ camera, source }));
  const same =
    layout === state.layout &&
    tiles.length === state.tiles.length &&
    tiles.every((tile, i) => tile.camera === state.tiles[i]?.camera);
  if (same) return state;
  return { ...state, layout, tiles, selected: Math.min(state.selected, count - 1) };
}
