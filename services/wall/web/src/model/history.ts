/** The arrangements of the wall before the present one and, after an undo, those that come after it. */

import type { MessageKey } from "../i18n/index.js";
import { anyRecorded, type TileState, type WallState } from "./wall.js";

/** What was undone or can be undone, as the page says it. */
export type ChangeKey = Extract<MessageKey, `change.${string}`>;

const REMEMBERED = 200;
/** Where more tiles change at once, the browser's Back leads to the wall before. */
const A_FEW_TILES = 2;

/** What is arranged; selecting, enlarging and going to the recording arrange nothing. */
function arrangement({ layout, tiles, spans, hotspot }: WallState): string {
  const cameras = tiles.map(({ camera }) => camera);
  while (cameras.at(-1) === null) cameras.pop();
  return JSON.stringify([layout, cameras, spans, hotspot]);
}

export function sameArrangement(a: WallState, b: WallState): boolean {
  return a === b || arrangement(a) === arrangement(b);
}

function changedTiles(a: WallState, b: WallState): number {
  const count = Math.max(a.tiles.length, b.tiles.length);
  const camera = ({ tiles }: WallState, i: number) => tiles[i]?.camera ?? null;
  return Array.from({ length: count }, (_, i) => i).filter((i) => camera(a, i) !== camera(b, i)).length;
}

/** Whether the browser's Back should lead from `after` to `before`. */
export function isNewWall(before: WallState, after: WallState): boolean {
  return before.layout !== after.layout || changedTiles(before, after) > A_FEW_TILES;
}

export function changeKey(before: WallState, after: WallState): ChangeKey {
  if (before.layout !== after.layout) return "change.grid";
  if (before.hotspot !== after.hotspot) return "change.hotspot";
  const changed = changedTiles(before, after);
  if (changed > A_FEW_TILES) return "change.cameras";
  if (changed === 2) return "change.swap";
  if (changed === 0) return "change.span";
  const cleared = before.tiles.some(({ camera }, i) => camera !== null && (after.tiles[i]?.camera ?? null) === null);
  return cleared ? "change.clear" : "change.camera";
}

export class WallHistory {
  private past: WallState[] = [];
  private future: WallState[] = [];

  /** Notes a change; false where nothing was arranged, or the wall filled itself. */
  note(before: WallState, after: WallState): boolean {
    const filledItself = before.automatic !== null && (after.automatic !== null || before.tiles.length === 0);
    if (filledItself || sameArrangement(before, after)) return false;
    this.past = [...this.past.slice(1 - REMEMBERED), before];
    this.future = [];
    return true;
  }

  get canUndo(): boolean {
    return this.past.length > 0;
  }

  get canRedo(): boolean {
    return this.future.length > 0;
  }

  /** The wall before the last change; null where there is none. */
  undo(now: WallState): WallState | null {
    const before = this.past.pop();
    if (!before) return null;
    this.future.push(now);
    return restored(before, now);
  }

  redo(now: WallState): WallState | null {
    const after = this.future.pop();
    if (!after) return null;
    this.past.push(now);
    return restored(after, now);
  }
}

/** The arrangement of `then` at the moment that is on the screen now: live tiles stay live, recorded ones recorded. */
function restored(then: WallState, now: WallState): WallState {
  const sources = new Map(now.tiles.map((tile) => [tile.camera, tile.source]));
  const otherwise = anyRecorded(now) ? "recorded" : "live";
  const tiles = then.tiles.map(
    ({ camera }): TileState => ({ camera, source: camera === null ? "live" : (sources.get(camera) ?? otherwise) }),
  );
  return { ...then, tiles, enlarged: null };
}
