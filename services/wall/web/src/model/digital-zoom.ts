/** Digital zoom of a picture in its tile. Lengths are parts of the tile's width and height, from 0 to 1. */

import type { Direction } from "./layout.js";

export interface DigitalZoom {
  scale: number;
  /** The upper left corner of the part that is seen. */
  left: number;
  top: number;
}

export const NO_ZOOM: DigitalZoom = { scale: 1, left: 0, top: 0 };
const LARGEST = 8;

function within(zoom: DigitalZoom): DigitalZoom {
  const room = 1 - 1 / zoom.scale;
  const held = (value: number) => Math.min(Math.max(value, 0), room);
  return { ...zoom, left: held(zoom.left), top: held(zoom.top) };
}

/** `factor` times as large, around a point of the tile. */
export function zoomAt(zoom: DigitalZoom, factor: number, x: number, y: number): DigitalZoom {
  const scale = Math.min(Math.max(zoom.scale * factor, 1), LARGEST);
  if (scale === 1) return NO_ZOOM;
  const along = (start: number, at: number) => start + at / zoom.scale - at / scale;
  return within({ scale, left: along(zoom.left, x), top: along(zoom.top, y) });
}

/** The picture follows a pointer that moves by parts of the tile. */
export function panBy(zoom: DigitalZoom, x: number, y: number): DigitalZoom {
  return within({ ...zoom, left: zoom.left - x / zoom.scale, top: zoom.top - y / zoom.scale });
}

/** A finger's place, in parts of the tile. */
export interface Finger {
  x: number;
  y: number;
}

/** Two fingers spread or close, and move: what was between them stays between them. */
export function pinch(
  zoom: DigitalZoom,
  before: readonly [Finger, Finger],
  after: readonly [Finger, Finger],
): DigitalZoom {
  const apart = ([a, b]: readonly [Finger, Finger]) => Math.max(Math.hypot(a.x - b.x, a.y - b.y), 0.01);
  const middle = ([a, b]: readonly [Finger, Finger]) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
  const [from, to] = [middle(before), middle(after)];
  return panBy(zoomAt(zoom, apart(after) / apart(before), from.x, from.y), to.x - from.x, to.y - from.y);
}

const STEP = 1.5;
const PAN = 0.2;

/** One step larger or smaller, around the middle. */
export function zoomStep(zoom: DigitalZoom, by: 1 | -1): DigitalZoom {
  return zoomAt(zoom, STEP ** by, 0.5, 0.5);
}

/** One step towards a side. */
export function panStep(zoom: DigitalZoom, direction: Direction): DigitalZoom {
  const steps = { left: [PAN, 0], right: [-PAN, 0], up: [0, PAN], down: [0, -PAN] } as const;
  const [x, y] = steps[direction];
  return panBy(zoom, x, y);
}

/** The CSS `transform` of the picture; its origin is the upper left corner. */
export function zoomTransform({ scale, left, top }: DigitalZoom): string {
  if (scale === 1) return "none";
  return `scale(${scale}) translate(${-left * 100}%, ${-top * 100}%)`;
}
