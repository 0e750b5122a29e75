/** The wall's state, and pure functions that change it. Tile n is the session's slot n. */

import type { Source } from "../api/types.js";
import { type Direction, type LayoutName, layoutOf, neighbour, smallestFor } from "./layout.js";

export interface TileState {
  camera: string | null;
  source: Source;
}

export interface WallState {
  layout: LayoutName;
  /** As many as the largest layout used so far: tiles beyond the present layout come back when it grows. */
  tiles: readonly TileState[];
  selected: number;
  enlarged: number | null;
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
  selected: 0,
  enlarged: null,
  automatic: { layout: null, source: "live" },
};

export function tileCount(state: WallState): number {
  return layoutOf(state.layout).cells.length;
}

export function tileAt(state: WallState, index: number): TileState {
  return state.tiles[index] ?? EMPTY_TILE;
}

/** The tiles of the present layout, empty ones included. */
export function visibleTiles(state: WallState): TileState[] {
  return Array.from({ length: tileCount(state) }, (_, i) => tileAt(state, i));
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
  return Array.from({ length }, (_, i) => changes[i] ?? tileAt(state, i));
}

export function setLayout(state: WallState, layout: LayoutName): WallState {
  const count = layoutOf(layout).cells.length;
  // Before the cameras are known there is nothing to arrange: they fill the chosen layout when they are.
  const automatic = state.automatic && state.tiles.length === 0 ? { ...state.automatic, layout } : null;
  return {
    ...state,
    layout,
    enlarged: null,
    automatic,
    selected: state.selected < count ? state.selected : 0,
  };
}

/** Shows `camera` in a tile, keeping whether the tile is live or recorded. */
export function put(state: WallState, index: number, camera: string | null): WallState {
  if (camera === tileAt(state, index).camera) return state;
  const source = camera === null ? "live" : tileAt(state, index).source;
  return {
    ...state,
    tiles: replace(state, { [index]: { camera, source } }),
    automatic: null,
    enlarged: camera === null && state.enlarged === index ? null : state.enlarged,
  };
}

export function swap(state: WallState, a: number, b: number): WallState {
  if (a === b || (tileAt(state, a).camera === null && tileAt(state, b).camera === null)) return state;
  return {
    ...state,
    tiles: replace(state, { [a]: tileAt(state, b), [b]: tileAt(state, a) }),
    automatic: null,
    selected: b,
  };
}

export function select(state: WallState, index: number): WallState {
  return index < tileCount(state) ? { ...state, selected: index } : state;
}

export function move(state: WallState, direction: Direction): WallState {
  if (state.enlarged !== null) return enlargeNext(state, direction === "left" || direction === "up" ? -1 : 1);
  return { ...state, selected: neighbour(layoutOf(state.layout), state.selected, direction) };
}

/** While one tile fills the wall the arrows go through the tiles that have a camera. */
function enlargeNext(state: WallState, step: 1 | -1): WallState {
  const count = tileCount(state);
  for (let i = 1; i <= count; i++) {
    const index = (state.selected + step * i + count * i) % count;
    if (tileAt(state, index).camera) return { ...state, selected: index, enlarged: index };
  }
  return state;
}

export function toggleEnlarged(state: WallState, index: number): WallState {
  if (state.enlarged !== null) return { ...state, enlarged: null };
  if (!tileAt(state, index).camera) return state;
  return { ...state, selected: index, enlarged: index };
}

/** A camera that is dragged from the list into a tile; one that is on the wall changes places. */
export function drop(state: WallState, index: number, camera: string): WallState {
  const shown = tileOf(state, camera);
  return shown === null ? select(put(state, index, camera), index) : swap(state, shown, index);
}

/** Turns tiles that have a camera to the recording or back to live; all of them where `index` is missing. */
export function setSource(state: WallState, source: Source, index?: number): WallState {
  if (index !== undefined && tileAt(state, index).camera === null) return state;
  const tiles = state.tiles.map((tile, i) =>
    tile.camera && (index === undefined || i === index) ? { ...tile, source } : tile,
  );
  const automatic = index === undefined && state.automatic ? { ...state.automatic, source } : null;
  return { ...state, tiles, automatic };
}

/** Whether a tile shows the recording, or will as soon as the cameras are known. */
export function anyRecorded(state: WallState): boolean {
  if (state.automatic && state.tiles.length === 0) return state.automatic.source === "recorded";
  return visibleTiles(state).some((tile) => tile.source === "recorded");
}

/** The tile of the present layout that shows a camera; null where none does. */
export function tileOf(state: WallState, camera: string): number | null {
  const index = visibleTiles(state).findIndex((tile) => tile.camera === camera);
  return index < 0 ? null : index;
}

/**
 * The tile that a camera picked from the list goes to: the selected one, after which the next is selected. One that is
 * on the wall stays where it is.
 */
export function placeNext(state: WallState, camera: string): WallState {
  const shown = tileOf(state, camera);
  if (shown !== null) return state.enlarged === null ? state : { ...state, selected: shown, enlarged: shown };
  const placed = put(state, state.selected, camera);
  if (state.enlarged !== null) return placed;
  return { ...placed, selected: (state.selected + 1) % tileCount(state) };
}

/** Arranges the wall for just these cameras. */
export function showCameras(state: WallState, cameras: readonly string[]): WallState {
  const layout = smallestFor(cameras.length, "36");
  const tiles = cameras
    .slice(0, layoutOf(layout).cells.length)
    .map((camera): TileState => ({ camera, source: "live" }));
  return { ...state, layout, tiles, selected: 0, enlarged: null, automatic: null };
}

/** Fills the wall with the first cameras while it is not arranged. */
export function fill(state: WallState, cameras: readonly string[]): WallState {
  if (!state.automatic) return state;
  const { source } = state.automatic;
  const layout = state.automatic.layout ?? smallestFor(Math.max(cameras.length, 4));
  const count = layoutOf(layout).cells.length;
  const tiles = cameras.slice(0, count).map((camera): TileState => ({ camera, source }));
  const same =
    layout === state.layout &&
    tiles.length === state.tiles.length &&
    tiles.every((tile, i) => tile.camera === state.tiles[i]?.camera);
  if (same) return state;
  return { ...state, layout, tiles, selected: Math.min(state.selected, count - 1) };
}
