/** Privacy masks as the form draws them: rectangles in parts of the picture. */

import type { PrivacyMask } from "../api/generated.js";

export const MAX_MASKS = 16;
/** Less of the picture's width or height is a click, not a mask. */
const LEAST = 0.01;

export interface Point {
  x: number;
  y: number;
}

const within = (value: number) => Math.min(1, Math.max(0, value));
const rounded = (value: number) => Math.round(value * 1000) / 1000;

/** Where a pointer is in a picture's box, in parts of it. */
export function pointIn(
  box: { left: number; top: number; width: number; height: number },
  x: number,
  y: number,
): Point {
  return { x: within((x - box.left) / (box.width || 1)), y: within((y - box.top) / (box.height || 1)) };
}

/** The rectangle between two corners; null where it is too small to be one. */
export function maskBetween(one: Point, other: Point): PrivacyMask | null {
  const [x, y] = [Math.min(one.x, other.x), Math.min(one.y, other.y)];
  const [width, height] = [Math.abs(one.x - other.x), Math.abs(one.y - other.y)];
  if (width < LEAST || height < LEAST) return null;
  return { x: rounded(x), y: rounded(y), width: rounded(width), height: rounded(height) };
}

/** A mask with one of its numbers given in per cent; what is no number, or leaves the picture, changes nothing. */
export function resized(mask: PrivacyMask, side: keyof PrivacyMask, percent: string): PrivacyMask {
  const value = percent.trim() === "" ? Number.NaN : Number(percent.replace(",", ".")) / 100;
  const least = side === "x" || side === "y" ? 0 : LEAST;
  const most = side === "x" || side === "y" ? 1 - LEAST : 1;
  return value >= least && value <= most ? { ...mask, [side]: rounded(value) } : mask;
}
