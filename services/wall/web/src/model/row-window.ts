/** Which rows of a long list stand in the document: those in view, and some above and below. */

/** Rows beyond the view on either side, so that a quick scroll shows no emptiness. */
const SPARE_ROWS = 14;

export interface RowWindow {
  /** The first row in the document. */
  from: number;
  /** The row after the last one. */
  to: number;
  /** What the rows before and after them would take. */
  abovePx: number;
  belowPx: number;
}

export function rowWindow(count: number, rowPx: number, scrollPx: number, viewPx: number): RowWindow {
  const first = Math.floor(scrollPx / rowPx);
  const from = Math.max(0, Math.min(first, count) - SPARE_ROWS);
  const to = Math.min(count, first + Math.ceil(viewPx / rowPx) + SPARE_ROWS);
  return {
    from,
    to: Math.max(from, to),
    abovePx: from * rowPx,
    belowPx: Math.max(0, count - Math.max(from, to)) * rowPx,
  };
}

/** Where to scroll so that a row is in view, as little as possible. */
export function scrollToRow(index: number, rowPx: number, scrollPx: number, viewPx: number): number {
  if (index * rowPx < scrollPx) return index * rowPx;
  return Math.max(scrollPx, (index + 1) * rowPx - viewPx);
}
