/** Grid layouts: where each tile stands, and which tile is the neighbour of which. */

/** A layout's name is the number of its tiles. */
export const LAYOUTS = ["1", "2", "3", "4", "6", "8", "9", "10", "12", "13", "16", "25", "36", "49", "64"] as const;
export type LayoutName = (typeof LAYOUTS)[number];

/** A tile's place in the grid, in cells from 0. */
export interface Cell {
  column: number;
  row: number;
  columns: number;
  rows: number;
}

export interface Layout {
  name: LayoutName;
  columns: number;
  rows: number;
  cells: readonly Cell[];
}

/** How large a tile was dragged, in cells. */
export interface TileSpan {
  columns: number;
  rows: number;
}

/** By tile; a tile that is not named has its layout's size. */
export type TileSpans = Readonly<Record<number, TileSpan>>;

function uniform(columns: number, rows: number): Cell[] {
  return Array.from({ length: columns * rows }, (_, i) => ({
    column: i % columns,
    row: Math.floor(i / columns),
    columns: 1,
    rows: 1,
  }));
}

function intersects(a: Cell, b: Cell): boolean {
  return (
    a.column < b.column + b.columns &&
    b.column < a.column + a.columns &&
    a.row < b.row + b.rows &&
    b.row < a.row + a.rows
  );
}

function contains(outer: Cell, inner: Cell): boolean {
  return (
    inner.column >= outer.column &&
    inner.row >= outer.row &&
    inner.column + inner.columns <= outer.column + outer.columns &&
    inner.row + inner.rows <= outer.row + outer.rows
  );
}

/** Large square tiles first, small ones in the cells that are left. */
function mixed(name: LayoutName, columns: number, rows: number, large: readonly [number, number, number][]): Layout {
  const big = large.map(([column, row, side]): Cell => ({ column, row, columns: side, rows: side }));
  const small = uniform(columns, rows).filter((cell) => !big.some((one) => intersects(one, cell)));
  return { name, columns, rows, cells: [...big, ...small] };
}

function even(name: LayoutName, columns: number, rows = columns): Layout {
  return { name, columns, rows, cells: uniform(columns, rows) };
}

const BUILT: Readonly<Record<LayoutName, Layout>> = {
  1: even("1", 1),
  2: even("2", 2, 1),
  3: mixed("3", 3, 2, [[0, 0, 2]]),
  4: even("4", 2),
  6: mixed("6", 3, 3, [[0, 0, 2]]),
  8: mixed("8", 4, 4, [[0, 0, 3]]),
  9: even("9", 3),
  10: mixed("10", 4, 4, [
    [0, 0, 2],
    [2, 0, 2],
  ]),
  12: even("12", 4, 3),
  13: mixed("13", 4, 4, [[1, 1, 2]]),
  16: even("16", 4),
  25: even("25", 5),
  36: even("36", 6),
  49: even("49", 7),
  64: even("64", 8),
};

/** Names in links from before layouts were named by their number of tiles. */
const FORMER_NAMES: Readonly<Record<string, LayoutName>> = { "1+5": "6", "1+7": "8" };

/** Layouts of equal tiles, which a wall chooses by itself. */
const EVEN: readonly LayoutName[] = ["1", "2", "4", "9", "12", "16", "25", "36", "49", "64"];

export function layoutOf(name: LayoutName): Layout {
  return BUILT[name];
}

/** The layout that a link or a saved wall names; null where there is no such one. */
export function layoutNamed(text: string): LayoutName | null {
  const name = FORMER_NAMES[text] ?? text;
  return LAYOUTS.find((known) => known === name) ?? null;
}

/** The smallest layout of equal tiles with room for `count`, at most `largest`. */
export function smallestFor(count: number, largest: LayoutName = "64"): LayoutName {
  return EVEN.find((name) => Number(name) >= count || name === largest) ?? largest;
}

/** Each tile's place; null for one that a dragged tile covers. */
export function placed(layout: Layout, spans: TileSpans): (Cell | null)[] {
  const grown = layout.cells.map((cell, index) => {
    const span = spans[index];
    return span && fits(layout, index, span) ? { ...cell, ...span } : null;
  });
  const standing: Cell[] = [];
  // A tile that an earlier one covers grows no longer.
  grown.forEach((cell, index) => {
    const own = layout.cells[index];
    if (!cell || !own || standing.some((one) => intersects(one, cell))) grown[index] = null;
    else standing.push(cell);
  });
  return layout.cells.map(
    (cell, index) => grown[index] ?? (standing.some((one) => intersects(one, cell)) ? null : cell),
  );
}

/** Whether a tile can have that size: no smaller than its own, within the grid, and no other tile covered by a part. */
function fits(layout: Layout, index: number, span: TileSpan): boolean {
  const own = layout.cells[index];
  if (!own || span.columns < own.columns || span.rows < own.rows) return false;
  const cell: Cell = { ...own, ...span };
  if (cell.column + cell.columns > layout.columns || cell.row + cell.rows > layout.rows) return false;
  return layout.cells.every((other) => !intersects(cell, other) || contains(cell, other));
}

/** The largest size of a tile up to the asked one; its own where none other fits. */
export function fittingSpan(layout: Layout, index: number, asked: TileSpan): TileSpan {
  const own = layout.cells[index];
  if (!own) return { columns: 1, rows: 1 };
  let best: TileSpan = { columns: own.columns, rows: own.rows };
  for (let columns = own.columns; columns <= asked.columns; columns++) {
    for (let rows = own.rows; rows <= asked.rows; rows++) {
      if (columns * rows > best.columns * best.rows && fits(layout, index, { columns, rows })) best = { columns, rows };
    }
  }
  return best;
}

export type Direction = "left" | "right" | "up" | "down";

/**
 * The tile one step from `index`, by geometry, so that large tiles are stepped over as the eye would.
 * Stays where it is at the edge.
 */
export function neighbour(cells: readonly (Cell | null)[], index: number, direction: Direction): number {
  const from = cells[index];
  if (!from) return 0;
  const horizontal = direction === "left" || direction === "right";
  const forwards = direction === "right" || direction === "down";
  const main = (cell: Cell) => (horizontal ? cell.column : cell.row);
  const cross = (cell: Cell) => (horizontal ? cell.row : cell.column);
  const length = (cell: Cell) => (horizontal ? cell.columns : cell.rows);
  const breadth = (cell: Cell) => (horizontal ? cell.rows : cell.columns);
  let best = index;
  let bestDistance = Number.POSITIVE_INFINITY;
  cells.forEach((cell, i) => {
    if (!cell) return;
    const gap = forwards ? main(cell) - (main(from) + length(from)) : main(from) - (main(cell) + length(cell));
    const overlaps = cross(cell) < cross(from) + breadth(from) && cross(from) < cross(cell) + breadth(cell);
    if (gap < 0 || !overlaps) return;
    const distance = gap * 100 + Math.abs(cross(cell) - cross(from));
    if (distance < bestDistance) {
      best = i;
      bestDistance = distance;
    }
  });
  return best;
}

/** The CSS `grid-area` of a cell. */
export function gridArea(cell: Cell): string {
  return `${cell.row + 1} / ${cell.column + 1} / span ${cell.rows} / span ${cell.columns}`;
}

/** The CSS `grid-template` of a layout. */
export function gridTemplate({ columns, rows }: Layout): string {
  return `repeat(${rows}, minmax(0, 1fr)) / repeat(${columns}, minmax(0, 1fr))`;
}
