/**
 * The wall's layout in the URL's fragment, so that it can be shared, bookmarked and restored; the server never sees it.
 *
 *     #grid=9&tiles=gate,,square&span=0:2x2&hot=8&big=0&at=2026-11-02T07:30:00.000Z
 *
 * `#wall=<id>` opens a saved wall, `#incident=<id>` an incident's page; the address then becomes as above. Without `tiles` the wall fills itself with the first cameras: live, or recorded where there is an `at`.
 */

import { layoutNamed, smallestFor, type TileSpan, type TileSpans } from "./layout.js";
import { type Filling, INITIAL_WALL, type TileState, tileAt, tileCount, type WallState } from "./wall.js";

const ID = /^[a-z0-9][a-z0-9-]{0,62}$/;
const MAX_TILES = 64;
const SPAN = /^(\d{1,2}):(\d)x(\d)$/;

export interface UrlState {
  wall: WallState;
  /** The playback's moment, Unix ms; null when the wall is live. */
  atMs: number | null;
}

/** The saved wall that a fragment names; null where it names none. */
export function savedWallIn(fragment: string): string | null {
  const id = /^#?wall=([^&]*)$/.exec(fragment)?.[1] ?? "";
  return ID.test(id) ? id : null;
}

/** The incident whose page a fragment opens; null where it opens none. */
export function incidentIn(fragment: string): string | null {
  const id = /^#?incident=([^&]*)$/.exec(fragment)?.[1] ?? "";
  return ID.test(id) ? id : null;
}

/** The fragment, without `#`; empty for a wall that is not arranged yet. */
export function encode({ wall, atMs }: UrlState): string {
  const { automatic } = wall;
  if (automatic && (atMs === null || wall.tiles.length === 0)) {
    const asked = automatic.layout === null ? [] : [`grid=${automatic.layout}`];
    return [...asked, ...at(atMs)].join("&");
  }
  const ids = Array.from({ length: tileCount(wall) }, (_, i) => {
    const tile = tileAt(wall, i);
    return tile.camera ? tile.camera + (atMs !== null && tile.source === "live" ? "!" : "") : "";
  });
  while (ids.at(-1) === "") ids.pop();
  const parts = [`grid=${wall.layout}`, `tiles=${ids.join(",")}`];
  const spans = Object.entries(wall.spans).map(([index, { columns, rows }]) => `${index}:${columns}x${rows}`);
  if (spans.length > 0) parts.push(`span=${spans.join(",")}`);
  if (wall.hotspot !== null) parts.push(`hot=${wall.hotspot}`);
  if (wall.enlarged !== null) parts.push(`big=${wall.enlarged}`);
  return [...parts, ...at(atMs)].join("&");
}

function at(atMs: number | null): string[] {
  return atMs === null ? [] : [`at=${new Date(atMs).toISOString()}`];
}

/** The state in a fragment; missing or invalid parts are as on a first visit. */
export function decode(fragment: string): UrlState {
  // Not URLSearchParams: it reads the + of a layout's name as a space.
  const fields = new Map<string, string>();
  for (const part of fragment.replace(/^#/, "").split("&")) {
    const [name = "", value] = part.split("=", 2);
    if (value !== undefined) fields.set(name, value);
  }
  const text = (name: string): string | null => {
    const raw = fields.get(name);
    if (raw === undefined) return null;
    try {
      return decodeURIComponent(raw);
    } catch {
      return null;
    }
  };
  const moment = text("at");
  const parsedAt = moment ? Date.parse(moment) : Number.NaN;
  const atMs = Number.isFinite(parsedAt) ? parsedAt : null;
  const asked = layoutNamed(text("grid") ?? "");
  const tilesText = text("tiles");
  if (tilesText === null) {
    const automatic: Filling = { layout: asked, source: atMs === null ? "live" : "recorded" };
    return { wall: { ...INITIAL_WALL, layout: asked ?? INITIAL_WALL.layout, automatic }, atMs };
  }
  const tiles = tilesText.split(",", MAX_TILES).map((entry): TileState => {
    const id = entry.replace(/!$/, "");
    if (!ID.test(id)) return { camera: null, source: "live" };
    return { camera: id, source: atMs !== null && !entry.endsWith("!") ? "recorded" : "live" };
  });
  const layout = asked ?? smallestFor(tiles.length);
  const plain: WallState = { ...INITIAL_WALL, layout, tiles, spans: spansIn(text("span")), automatic: null };
  const tileIn = (name: string): number | null => {
    const index = Number(text(name) ?? Number.NaN);
    return Number.isInteger(index) && index >= 0 && index < tileCount(plain) ? index : null;
  };
  const wall = withHotspot(plain, tileIn("hot"));
  const big = tileIn("big");
  if (big !== null && tileAt(wall, big).camera) return { wall: { ...wall, selected: big, enlarged: big }, atMs };
  return { wall, atMs };
}

function spansIn(text: string | null): TileSpans {
  const spans: Record<number, TileSpan> = {};
  for (const entry of text?.split(",", MAX_TILES) ?? []) {
    const [, index, columns, rows] = SPAN.exec(entry) ?? [];
    if (index !== undefined) spans[Number(index)] = { columns: Number(columns), rows: Number(rows) };
  }
  return spans;
}

/** The hotspot's entry among the tiles is the camera that it followed last. */
function withHotspot(wall: WallState, hotspot: number | null): WallState {
  if (hotspot === null) return wall;
  const followed = tileAt(wall, hotspot).camera;
  const tiles = wall.tiles.map((tile, index) => (index === hotspot ? { ...tile, camera: null } : tile));
  return { ...wall, tiles, hotspot, followed };
}
