/** The clerk's question: which cameras stand near a place, and which moments around a time are to be looked at. */

import type { CameraView } from "../api/generated.js";
import { distanceMetres, placeOf } from "./filling.js";
import { parseMoment } from "./moment.js";
import { search } from "./search.js";

const CAMERAS_SHOWN = 6;
/** A neighbour that is further away sees nothing of the place. */
const NEAR_METRES = 500;
export const WIDTHS_SECONDS = [10, 30, 60, 300] as const;
export const STILLS = 5;

export interface NearCamera {
  camera: CameraView;
  /** From the best match; null where a place is not known. */
  metres: number | null;
}

/** The cameras that the words name, the best first, and after them their neighbours, the nearest first. */
export function camerasAt(cameras: readonly CameraView[], place: string): NearCamera[] {
  if (place.trim() === "") return [];
  const named = search(cameras, place).slice(0, CAMERAS_SHOWN);
  const best = named[0];
  const middle = best ? placeOf(best) : null;
  const metresOf = (camera: CameraView) => {
    const there = placeOf(camera);
    return middle && there ? distanceMetres(middle, there) : null;
  };
  const near = (camera: CameraView): NearCamera => ({ camera, metres: metresOf(camera) });
  const others = cameras.filter((camera) => !named.includes(camera)).map(near);
  const neighbours = others
    .filter(({ metres }) => metres !== null && metres <= NEAR_METRES)
    .sort((a, b) => (a.metres ?? 0) - (b.metres ?? 0));
  return [...named.map(near), ...neighbours].slice(0, CAMERAS_SHOWN);
}

/** The moment that a day (today where it is empty) and a time name, Unix ms; null where they name none. */
export function momentOfFields(day: string, time: string, nowMs: number, zone?: string): number | null {
  return zone === undefined
    ? parseMoment(`${day} ${time}`.trim(), nowMs)
    : parseMoment(`${day} ${time}`.trim(), nowMs, zone);
}

/** Evenly spaced moments from `widthSeconds` before to as much after, the asked one in the middle; none in the future. */
export function stillMoments(atMs: number, widthSeconds: number, nowMs: number): number[] {
  const stepMs = (2 * widthSeconds * 1000) / (STILLS - 1);
  const moments = Array.from({ length: STILLS }, (_, i) => atMs + (i - (STILLS - 1) / 2) * stepMs);
  return moments.filter((ms) => ms <= nowMs);
}
