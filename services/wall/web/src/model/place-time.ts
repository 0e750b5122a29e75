/** The clerk's question: which cameras stand near a place, and which moments around a time are to be looked at. */

import type { CameraView } from "../api/generated.js";
import { distanceMetres, type Place, placeOf } from "./filling.js";
import { parseMoment } from "./moment.js";
import { search } from "./search.js";

const CAMERAS_SHOWN = 6;
/** A camera that is further away sees nothing of the place. */
const NEAR_METRES = 500;
export const WIDTHS_SECONDS = [10, 30, 60, 300] as const;
export const STILLS = 5;

export interface NearCamera {
  camera: CameraView;
  /** From the best match; null where a place is not known. */
  metres: number | null;
}

/** What the form's fields hold, as they were written. */
export interface PlaceFields {
  place: string;
  day: string;
  time: string;
  widthSeconds: number;
}

export const NO_FIELDS: PlaceFields = { place: "", day: "", time: "", widthSeconds: WIDTHS_SECONDS[0] };

/** Decimal degrees, latitude first, as maps write them. */
const POINT = /^([-+]?\d{1,2}(?:\.\d+)?)\s*[,;\s]\s*([-+]?\d{1,3}(?:\.\d+)?)$/;
/** A metre or so. */
const POINT_DIGITS = 5;

/** A point as the form writes it: `-7.98260, 112.63080`. */
export function pointText({ latitude, longitude }: Place): string {
  return `${latitude.toFixed(POINT_DIGITS)}, ${longitude.toFixed(POINT_DIGITS)}`;
}

/** The point that a text names; null where it is none. */
export function parsePoint(text: string): Place | null {
  const found = POINT.exec(text.trim().replaceAll("\u2212", "-"));
  if (!found) return null;
  const [latitude, longitude] = [Number(found[1]), Number(found[2])];
  return Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 ? { latitude, longitude } : null;
}

/** The cameras nearest to a point. The first is there however far it is. */
function camerasNear(cameras: readonly CameraView[], point: Place): NearCamera[] {
  const found = cameras.flatMap((camera) => {
    const there = placeOf(camera);
    return there ? [{ camera, metres: distanceMetres(point, there) }] : [];
  });
  return found
    .sort((a, b) => a.metres - b.metres)
    .filter(({ metres }, i) => i === 0 || metres <= NEAR_METRES)
    .slice(0, CAMERAS_SHOWN);
}

/**
 * The cameras that the words name, the best first, and after them their neighbours, the nearest first; around a point,
 * the nearest ones.
 */
export function camerasAt(cameras: readonly CameraView[], place: string): NearCamera[] {
  if (place.trim() === "") return [];
  const point = parsePoint(place);
  if (point) return camerasNear(cameras, point);
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
