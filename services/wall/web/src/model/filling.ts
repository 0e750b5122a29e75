/** Cameras to fill a wall with: by label, by search, or around one camera. */

import type { CameraView } from "../api/generated.js";

const EARTH_METRES = 6_371_000;

export interface TagCount {
  tag: string;
  count: number;
}

/** The labels of the cameras that are switched on, the commonest first. */
export function tagCounts(cameras: Iterable<CameraView>): TagCount[] {
  const counts = new Map<string, number>();
  for (const camera of cameras) {
    if (camera.enabled) for (const tag of camera.tags) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  }
  return [...counts]
    .map(([tag, count]) => ({ tag, count }))
    .sort((a, b) => b.count - a.count || (a.tag < b.tag ? -1 : 1));
}

export interface Place {
  latitude: number;
  longitude: number;
}

/** Null where there is no camera, or nobody knows where it stands. */
export function placeOf(camera: Pick<CameraView, "location"> | undefined): Place | null {
  if (!camera) return null;
  const { latitude, longitude } = camera.location;
  return latitude === null || longitude === null ? null : { latitude, longitude };
}

/** Along the earth's surface (haversine formula). */
export function distanceMetres(a: Place, b: Place): number {
  const radians = (degrees: number) => (degrees * Math.PI) / 180;
  const across = Math.sin(radians(b.latitude - a.latitude) / 2) ** 2;
  const along = Math.sin(radians(b.longitude - a.longitude) / 2) ** 2;
  const part = across + Math.cos(radians(a.latitude)) * Math.cos(radians(b.latitude)) * along;
  return 2 * EARTH_METRES * Math.asin(Math.min(1, Math.sqrt(part)));
}

/** The camera and its nearest neighbours that are switched on, nearest first; none where its place is not known. */
export function neighbours(cameras: Iterable<CameraView>, id: string, count: number): CameraView[] {
  const all = [...cameras];
  const middle = all.find((camera) => camera.id === id);
  const from = middle && placeOf(middle);
  if (!from) return [];
  const found = all.flatMap((camera) => {
    const place = placeOf(camera);
    return place && (camera.enabled || camera.id === id) ? [{ camera, metres: distanceMetres(from, place) }] : [];
  });
  const itself = (camera: CameraView) => Number(camera.id === id);
  found.sort((a, b) => itself(b.camera) - itself(a.camera) || a.metres - b.metres);
  return found.slice(0, count).map(({ camera }) => camera);
}
