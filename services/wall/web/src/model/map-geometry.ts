/** The map's geometry: cameras that stand close together on the screen, a lasso, and the order at a junction. */

import type { CameraView } from "../api/generated.js";
import { type SeenCameras, type ShownStatus, statusOf } from "./cameras.js";
import { distanceMetres, placeOf } from "./filling.js";
import { severityOf } from "./health.js";

/** Cameras no further apart than this stand at one junction. */
export const JUNCTION_METRES = 60;
/** Marks whose middles are closer than this would lie over each other. */
const CLUSTER_PX = 46;

export interface Point {
  x: number;
  y: number;
}

/** A camera whose place is known, and where that is on the screen. */
export interface MapCamera extends Point {
  camera: CameraView;
  status: ShownStatus;
}

/** One mark on the map: a camera, or several under their worst state. */
export interface MapMark extends Point {
  cameras: CameraView[];
  worst: ShownStatus;
}

/** The cameras that are in view, `project` telling where; `margin` px beyond the edges count, too. */
export function mapCameras(
  cameras: Iterable<CameraView>,
  seen: SeenCameras,
  project: (longitude: number, latitude: number) => Point,
  view: { width: number; height: number },
  margin = 0,
): MapCamera[] {
  const found: MapCamera[] = [];
  for (const camera of cameras) {
    const place = placeOf(camera);
    if (!place) continue;
    const { x, y } = project(place.longitude, place.latitude);
    if (x < -margin || y < -margin || x > view.width + margin || y > view.height + margin) continue;
    found.push({ camera, status: statusOf(camera, seen.get(camera.id)), x, y });
  }
  return found;
}

/** One mark for the cameras that would lie over each other, in the middle of them. */
export function clusters(cameras: readonly MapCamera[]): MapMark[] {
  const cells = new Map<string, MapCamera[][]>();
  const groups: MapCamera[][] = [];
  const cellOf = (value: number) => Math.floor(value / CLUSTER_PX);
  for (const each of cameras) {
    const near = around(cellOf(each.x), cellOf(each.y)).flatMap((key) => cells.get(key) ?? []);
    const group = near.find(([first]) => first && Math.hypot(first.x - each.x, first.y - each.y) < CLUSTER_PX);
    if (group) {
      group.push(each);
      continue;
    }
    const fresh = [each];
    groups.push(fresh);
    const key = `${cellOf(each.x)},${cellOf(each.y)}`;
    cells.set(key, [...(cells.get(key) ?? []), fresh]);
  }
  return groups.map(markOf);
}

function around(column: number, row: number): string[] {
  const steps = [-1, 0, 1];
  return steps.flatMap((dx) => steps.map((dy) => `${column + dx},${row + dy}`));
}

function markOf(group: readonly MapCamera[]): MapMark {
  const sum = group.reduce((total, { x, y }) => ({ x: total.x + x, y: total.y + y }), { x: 0, y: 0 });
  const worst = group.reduce<ShownStatus>(
    (so_far, { status }) => (severityOf(status) < severityOf(so_far) ? status : so_far),
    "disabled",
  );
  return { x: sum.x / group.length, y: sum.y / group.length, cameras: group.map(({ camera }) => camera), worst };
}

/** Whether a point lies within a closed line (even-odd rule). */
export function within({ x, y }: Point, line: readonly Point[]): boolean {
  let inside = false;
  line.forEach((a, i) => {
    const b = line[(i + 1) % line.length] ?? a;
    if (a.y > y !== b.y > y && x < ((b.x - a.x) * (y - a.y)) / (b.y - a.y) + a.x) inside = !inside;
  });
  return inside;
}

/** Whether all of them stand at one junction. */
export function isJunction(cameras: readonly CameraView[]): boolean {
  const [first, ...others] = cameras.map(placeOf);
  if (!first || others.length === 0) return false;
  return others.every((place) => place && distanceMetres(first, place) <= JUNCTION_METRES);
}

/**
 * The order in which cameras go onto the wall. At a junction by the way they look, clockwise from north; where that is
 * not known, by the way they stand from its middle. Elsewhere row by row, as the map is read.
 */
export function wallOrder(cameras: readonly CameraView[]): CameraView[] {
  const places = cameras.map(placeOf);
  const latitudes = places.flatMap((place) => (place ? [place.latitude] : []));
  const longitudes = places.flatMap((place) => (place ? [place.longitude] : []));
  const middle = { latitude: mean(latitudes), longitude: mean(longitudes) };
  if (isJunction(cameras)) {
    const bearing = (camera: CameraView) => camera.location.bearing ?? bearingFrom(middle, camera);
    return [...cameras].sort((a, b) => bearing(a) - bearing(b));
  }
  const rows = Math.max(1, Math.ceil(Math.sqrt(cameras.length)));
  const height = (Math.max(...latitudes) - Math.min(...latitudes)) / rows || 1;
  const row = (camera: CameraView) => Math.floor((Math.max(...latitudes) - (placeOf(camera)?.latitude ?? 0)) / height);
  const column = (camera: CameraView) => placeOf(camera)?.longitude ?? 0;
  return [...cameras].sort((a, b) => row(a) - row(b) || column(a) - column(b));
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0) / Math.max(1, numbers.length);
}

function bearingFrom(middle: { latitude: number; longitude: number }, camera: CameraView): number {
  const place = placeOf(camera) ?? middle;
  const east = (place.longitude - middle.longitude) * Math.cos((middle.latitude * Math.PI) / 180);
  const degrees = (Math.atan2(east, place.latitude - middle.latitude) * 180) / Math.PI;
  return (degrees + 360) % 360;
}

/** The nearest to the middle of the view first. */
export function nearestFirst(cameras: readonly MapCamera[], middle: Point): MapCamera[] {
  const distance = ({ x, y }: Point) => Math.hypot(x - middle.x, y - middle.y);
  return [...cameras].sort((a, b) => distance(a) - distance(b));
}

/** West, south, east, north of all places; null where none is known. */
export function boundsOf(cameras: Iterable<CameraView>): [number, number, number, number] | null {
  const places = [...cameras].flatMap((camera) => placeOf(camera) ?? []);
  if (places.length === 0) return null;
  const longitudes = places.map(({ longitude }) => longitude);
  const latitudes = places.map(({ latitude }) => latitude);
  return [Math.min(...longitudes), Math.min(...latitudes), Math.max(...longitudes), Math.max(...latitudes)];
}
