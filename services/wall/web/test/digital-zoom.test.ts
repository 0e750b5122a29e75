import { describe, expect, it } from "vitest";
import { stillName } from "../src/media/still-file.js";
import { NO_ZOOM, panBy, pinch, zoomAt, zoomTransform } from "../src/model/digital-zoom.js";

describe("digital zoom", () => {
  it("keeps the point under the pointer where it is", () => {
    const zoom = zoomAt(NO_ZOOM, 2, 0.25, 0.5);
    expect(zoom).toEqual({ scale: 2, left: 0.125, top: 0.25 });
    const deeper = zoomAt(zoom, 2, 0.25, 0.5);
    expect(deeper.left + 0.25 / deeper.scale).toBeCloseTo(0.25);
    expect(deeper.top + 0.5 / deeper.scale).toBeCloseTo(0.5);
  });

  it("never shows beyond the picture, is no deeper than eight times, and ends at the whole", () => {
    expect(zoomAt(NO_ZOOM, 100, 1, 1)).toEqual({ scale: 8, left: 0.875, top: 0.875 });
    expect(zoomAt(zoomAt(NO_ZOOM, 4, 1, 0), 0.1, 0, 0)).toBe(NO_ZOOM);
    expect(panBy(zoomAt(NO_ZOOM, 2, 0.5, 0.5), 9, -9)).toEqual({ scale: 2, left: 0, top: 0.5 });
    expect(panBy(NO_ZOOM, 0.5, 0.5)).toEqual({ scale: 1, left: 0, top: 0 });
  });

  it("follows two fingers: what was between them stays there, twice as large where they are twice as far apart", () => {
    const at = (x: number, y: number) => ({ x, y });
    const spread = pinch(NO_ZOOM, [at(0.4, 0.5), at(0.6, 0.5)], [at(0.3, 0.5), at(0.7, 0.5)]);
    expect(spread.scale).toBeCloseTo(2);
    expect(spread.left + 0.5 / spread.scale).toBeCloseTo(0.5);
    const moved = pinch(spread, [at(0.3, 0.5), at(0.7, 0.5)], [at(0.4, 0.5), at(0.8, 0.5)]);
    expect(moved.scale).toBeCloseTo(spread.scale);
    expect(moved.left).toBeCloseTo(spread.left - 0.05);
    expect(pinch(spread, [at(0.5, 0.5), at(0.5, 0.5)], [at(0.5, 0.5), at(0.5, 0.5)]).scale).toBeCloseTo(2);
  });

  it("is a transform from the upper left corner", () => {
    expect(zoomTransform(NO_ZOOM)).toBe("none");
    expect(zoomTransform({ scale: 2, left: 0.25, top: 0.5 })).toBe("scale(2) translate(-25%, -50%)");
  });
});

describe("a still's file", () => {
  it("is named by camera and moment, so that files sort by time", () => {
    expect(stillName("cam-001", "29/11/2026 19:55:00")).toBe("cam-001_2026-11-29_19.55.00.jpg");
  });
});
