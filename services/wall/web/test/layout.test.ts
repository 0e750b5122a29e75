import { describe, expect, it } from "vitest";
import {
  type Cell,
  fittingSpan,
  LAYOUTS,
  type LayoutName,
  layoutNamed,
  layoutOf,
  neighbour,
  placed,
  smallestFor,
} from "../src/model/layout.js";

/** The grid's cells that tiles stand on; fails where two stand on one. */
function taken(cells: readonly Cell[]): string[] {
  const found = new Set<string>();
  for (const { column, row, columns, rows } of cells) {
    for (let x = column; x < column + columns; x++) {
      for (let y = row; y < row + rows; y++) {
        expect(found.has(`${x},${y}`)).toBe(false);
        found.add(`${x},${y}`);
      }
    }
  }
  return [...found];
}

describe("layouts", () => {
  it.each(LAYOUTS)("%s fills its grid without overlaps and has as many tiles as its name says", (name) => {
    const { columns, rows, cells } = layoutOf(name);
    expect(cells).toHaveLength(Number(name));
    expect(taken(cells)).toHaveLength(columns * rows);
  });

  it("finds the smallest grid of equal tiles for a number of cameras, up to a limit", () => {
    const names = (limit?: LayoutName) => [0, 1, 2, 3, 5, 10, 13, 17, 50, 99].map((count) => smallestFor(count, limit));
    expect(names()).toEqual(["1", "1", "2", "4", "9", "12", "16", "25", "64", "64"]);
    expect(names("16")).toEqual(["1", "1", "2", "4", "9", "12", "16", "16", "16", "16"]);
  });

  it("knows its names, those of old links too", () => {
    expect(["12", "1+5", "1+7", "11", ""].map(layoutNamed)).toEqual(["12", "6", "8", null, null]);
  });
});

describe("a tile that is dragged larger", () => {
  it("covers its neighbours, and they come back", () => {
    const grown = placed(layoutOf("4"), { 0: { columns: 2, rows: 1 } });
    expect(grown.map((cell) => cell !== null)).toEqual([true, false, true, true]);
    expect(placed(layoutOf("4"), {}).every((cell) => cell !== null)).toBe(true);
  });

  it.each(LAYOUTS)("leaves no hole and no overlap in %s, and stays within it", (name) => {
    const layout = layoutOf(name);
    layout.cells.forEach((_, index) => {
      for (const asked of [1, 2, 3, 9]) {
        const span = fittingSpan(layout, index, { columns: asked, rows: asked });
        const cells = placed(layout, { [index]: span }).filter((cell) => cell !== null);
        expect(taken(cells)).toHaveLength(layout.columns * layout.rows);
      }
    });
  });

  it.each([
    [0, { columns: 9, rows: 9 }],
    [3, { columns: 2, rows: 1 }],
    [0, { columns: 0, rows: 1 }],
    [77, { columns: 1, rows: 1 }],
  ])("keeps its size where a link asks for one that does not fit (%j %j)", (index, span) => {
    expect(placed(layoutOf("4"), { [index]: span })).toEqual(placed(layoutOf("4"), {}));
  });

  it("is the earlier one where two would lie over each other", () => {
    const cells = placed(layoutOf("9"), { 0: { columns: 2, rows: 2 }, 1: { columns: 2, rows: 1 } });
    expect(cells[0]).toEqual({ column: 0, row: 0, columns: 2, rows: 2 });
    expect(cells[1]).toBeNull();
    expect(cells[2]).not.toBeNull();
  });

  it("never covers a part of a large tile", () => {
    expect(fittingSpan(layoutOf("6"), 1, { columns: 1, rows: 3 })).toEqual({ columns: 1, rows: 3 });
    expect(fittingSpan(layoutOf("13"), 1, { columns: 3, rows: 2 })).toEqual({ columns: 3, rows: 1 });
  });
});

describe("arrow keys", () => {
  it("move by one in a uniform grid and stop at the edge", () => {
    const grid = layoutOf("9").cells;
    expect(neighbour(grid, 4, "left")).toBe(3);
    expect(neighbour(grid, 4, "up")).toBe(1);
    expect(neighbour(grid, 4, "right")).toBe(5);
    expect(neighbour(grid, 4, "down")).toBe(7);
    expect(neighbour(grid, 2, "right")).toBe(2);
    expect(neighbour(grid, 6, "down")).toBe(6);
  });

  it("go around a large tile", () => {
    const grid = layoutOf("6").cells;
    expect(neighbour(grid, 0, "right")).toBe(1);
    expect(neighbour(grid, 0, "down")).toBe(3);
    expect(neighbour(grid, 2, "left")).toBe(0);
    expect(neighbour(grid, 4, "up")).toBe(0);
  });

  it.each(LAYOUTS)("reach every tile of %s from the first one", (name) => {
    const grid = layoutOf(name).cells;
    const seen = new Set([0]);
    const queue = [0];
    for (let index = queue.shift(); index !== undefined; index = queue.shift()) {
      for (const direction of ["left", "right", "up", "down"] as const) {
        const next = neighbour(grid, index, direction);
        if (!seen.has(next)) {
          seen.add(next);
          queue.push(next);
        }
      }
    }
    expect(seen.size).toBe(grid.length);
  });

  it("start anew from a tile that the layout does not have", () => {
    expect(neighbour(layoutOf("4").cells, 20, "left")).toBe(0);
  });
});
