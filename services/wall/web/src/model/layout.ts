/** Grid layouts: where each tile stands, and which tile is the neighbour of which. */

export const LAYOUTS = ["1", "4", "9", "16", "25", "36", "1+5", "1+7"] as const;
export type LayoutName = (typeof LAYOUTS)[number];

/** A tile's place in the grid, in cells from 0. */
export interface Cell {
  column: number;
  row: number;
  span: number;
}

export interface Layout {
  name: LayoutName;
  /** Columns, and rows: every layout is square, so that tiles keep the screen's shape. */
  side: number;
  cells: readonly Cell[];
}

function uniform(side: number): Cell[] {
  return Array.from({ length: side * side }, (_, i) => ({ column: i % side, row: Math.floor(i / side), span: 1 }));
}

/** One large tile in the upper left corner, the others along the right and lower edges. */
function oneLarge(side: number): Cell[] {
  const small = uniform(side).filter((cell) => cell.column === side - 1 || cell.row === side - 1);
  return [{ column: 0, row: 0, span: side - 1 }, ...small];
}

function build(name: LayoutName): Layout {
  if (name === "1+5") return { name, side: 3, cells: oneLarge(3) };
  if (name === "1+7") return { name, side: 4, cells: oneLarge(4) };
  const side = Math.sqrt(Number(name));
  return { name, side, cells: uniform(side) };
}

const BUILT = new Map(LAYOUTS.map((name) => [name, build(name)]));

export function layoutOf(name: LayoutName): Layout {
  return BUILT.get(name) ?? build(name);
}

export function isLayoutName(text: string): text is LayoutName {
  return (LAYOUTS as readonly string[]).includes(text);
}

/** The smallest uniform layout with room for `count` tiles, at most `largest`. */
export function smallestFor(count: number, largest: LayoutName = "16"): LayoutName {
  const uniformNames: LayoutName[] = ["1", "4", "9", "16", "25", "36"];
  return uniformNames.find((name) => Number(name) >= count || name === largest) ?? largest;
}

export type Direction = "left" | "right" | "up" | "down";

/**
 * The tile one step from `index`, by geometry, so that large tiles are stepped over as the eye would.
 * Stays where it is at the edge.
 */
export function neighbour(layout: Layout, index: number, direction: Direction): number {
  const from = layout.cells[index];
  if (!from) return 0;
  const horizontal = direction === "left" || direction === "right";
  const forwards = direction === "right" || direction === "down";
  const main = (cell: Cell) => (horizontal ? cell.column : cell.row);
  const cross = (cell: Cell) => (horizontal ? cell.row : cell.column);
  let best = index;
  let bestDistance = Number.POSITIVE_INFINITY;
  layout.cells.forEach((cell, i) => {
    const gap = forwards ? main(cell) - (main(from) + from.span) : main(from) - (main(cell) + cell.span);
    const overlaps = cross(cell) < cross(from) + from.span && cross(from) < cross(cell) + cell.span;
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
  return `${cell.row + 1} / ${cell.column + 1} / span ${cell.span} / span ${cell.span}`;
}
