import { describe, expect, it } from "vitest";
import { isLayoutName, LAYOUTS, layoutOf, neighbour, smallestFor } from "../src/model/layout.js";

describe("layouts", () => {
  it.each(LAYOUTS)("%s fills its square without overlaps", (name) => {
    const { side, cells } = layoutOf(name);
    const taken = new Set<string>();
    for (const { column, row, span } of cells) {
      for (let x = column; x < column + span; x++) {
        for (let y = row; y < row + span; y++) {
          expect(x).toBeLessThan(side);
          expect(y).toBeLessThan(side);
          expect(taken.has(`${x},${y}`)).toBe(false);
          taken.add(`${x},${y}`);
        }
      }
    }
    expect(taken.size).toBe(side * side);
  });

  it("has as many tiles as its name says", () => {
    expect(LAYOUTS.map((name) => layoutOf(name).cells.length)).toEqual([1, 4, 9, 16, 25, 36, 6, 8]);
  });

  it("finds the smallest grid for a number of cameras, up to a limit", () => {
    expect([0, 1, 2, 4, 5, 10, 16, 17].map((count) => smallestFor(count))).toEqual([
      "1",
      "1",
      "4",
      "4",
      "9",
      "16",
      "16",
      "16",
    ]);
    expect([17, 26, 99].map((count) => smallestFor(count, "36"))).toEqual(["25", "36", "36"]);
  });

  it("knows its names", () => {
    expect(isLayoutName("1+5")).toBe(true);
    expect(isLayoutName("12")).toBe(false);
  });
});

describe("arrow keys", () => {
  it("move by one in a uniform grid and stop at the edge", () => {
    const grid = layoutOf("9");
    expect(neighbour(grid, 4, "left")).toBe(3);
    expect(neighbour(grid, 4, "up")).toBe(1);
    expect(neighbour(grid, 4, "right")).toBe(5);
    expect(neighbour(grid, 4, "down")).toBe(7);
    expect(neighbour(grid, 2, "right")).toBe(2);
    expect(neighbour(grid, 6, "down")).toBe(6);
  });

  it("go around a large tile", () => {
    const grid = layoutOf("1+5");
    expect(neighbour(grid, 0, "right")).toBe(1);
    expect(neighbour(grid, 0, "down")).toBe(3);
    expect(neighbour(grid, 2, "left")).toBe(0);
    expect(neighbour(grid, 4, "up")).toBe(0);
  });

  it.each(LAYOUTS)("reach every tile of %s from the first one", (name) => {
    const grid = layoutOf(name);
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
    expect(seen.size).toBe(grid.cells.length);
  });

  it("start anew from a tile that the layout does not have", () => {
    expect(neighbour(layoutOf("4"), 20, "left")).toBe(0);
  });
});
