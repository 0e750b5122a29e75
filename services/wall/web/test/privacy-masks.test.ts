import { describe, expect, it } from "vitest";
import { maskBetween, pointIn, resized } from "../src/model/privacy-masks.js";

describe("privacy masks", () => {
  it("are drawn from any corner to any other, within the picture", () => {
    const box = { left: 100, top: 50, width: 200, height: 100 };
    const [from, to] = [pointIn(box, 250, 125), pointIn(box, 50, 75)];
    expect(to).toEqual({ x: 0, y: 0.25 });
    const mask = { x: 0, y: 0.25, width: 0.75, height: 0.5 };
    expect(maskBetween(from, to)).toEqual(mask);
    expect(maskBetween(to, from)).toEqual(mask);
  });

  it("are not made by a click", () => {
    expect(maskBetween({ x: 0.5, y: 0.5 }, { x: 0.505, y: 0.9 })).toBe(null);
    expect(pointIn({ left: 0, top: 0, width: 0, height: 0 }, 5, 5)).toEqual({ x: 1, y: 1 });
  });

  it("are changed by numbers, and not by what is none", () => {
    const mask = { x: 0.1, y: 0.1, width: 0.2, height: 0.2 };
    expect(resized(mask, "width", "33,3")).toEqual({ ...mask, width: 0.333 });
    expect(resized(mask, "x", "0")).toEqual({ ...mask, x: 0 });
    for (const [side, text] of [
      ["width", "0"],
      ["x", "100"],
      ["y", "-1"],
      ["height", "101"],
      ["x", "left"],
      ["x", ""],
    ] as const) {
      expect(resized(mask, side, text), text).toBe(mask);
    }
  });
});
