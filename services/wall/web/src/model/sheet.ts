/** A contact sheet's layout, as `services/wall/front/pictures/sheet.py` draws it, and where a click on it lies. */

import type { Span, Timeline } from "./timeline.js";
import { zoneOffsetMinutes } from "./zone.js";

const MARGIN_PX = 6;
const HEADER_PX = 34;

export interface Layout {
  columns: number;
  rows: number;
}

/** By how many pictures there are to choose from. */
export const LAYOUTS: readonly Layout[] = [
  { columns: 6, rows: 2 },
  { columns: 6, rows: 4 },
  { columns: 8, rows: 6 },
  { columns: 10, rows: 10 },
];

/** The range without a mark: enough for an operator who knows roughly when it happened. */
const AROUND_MS = 1_800_000;
const SHORTEST_MS = 10_000;

/** Half an hour on both sides of a moment, without the future and without the empty time before the first footage. */
export function around(atMs: number, nowMs: number, timeline: Timeline | undefined): Span {
  const span = { fromMs: atMs - AROUND_MS, toMs: Math.min(atMs + AROUND_MS, nowMs) };
  const first = timeline?.ranges.find(({ toMs }) => toMs > span.fromMs);
  const begins = first ? Math.max(first.fromMs, span.fromMs) : span.fromMs;
  return span.toMs - begins < SHORTEST_MS ? span : { fromMs: begins, toMs: span.toMs };
}

/** RFC 3339 in the site's zone: the sheet's times are written in the same. */
export function localRfc3339(ms: number, offsetMinutes = zoneOffsetMinutes(ms)): string {
  const local = new Date(ms + offsetMinutes * 60_000).toISOString().slice(0, -1);
  const two = (value: number) => String(value).padStart(2, "0");
  const minutes = Math.abs(offsetMinutes);
  return `${local}${offsetMinutes < 0 ? "-" : "+"}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

/** The moment that the picture at (`x`, `y`) stands for, both as parts of the sheet's size; null beside the pictures. */
export function momentOf(
  { columns, rows }: Layout,
  span: Span,
  size: { widthPx: number; heightPx: number },
  x: number,
  y: number,
): number | null {
  const cellWidth = (size.widthPx - MARGIN_PX) / columns;
  const cellHeight = (size.heightPx - HEADER_PX - MARGIN_PX) / rows;
  const column = Math.floor((x * size.widthPx - MARGIN_PX) / cellWidth);
  const row = Math.floor((y * size.heightPx - HEADER_PX) / cellHeight);
  if (column < 0 || column >= columns || row < 0 || row >= rows) return null;
  return span.fromMs + ((span.toMs - span.fromMs) * (row * columns + column)) / (columns * rows);
}
