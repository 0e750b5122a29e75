import { describe, expect, it } from "vitest";
import { aheadOf, LEAD_MS } from "../src/model/activity.js";

/** What the server does: the first beginning after, the last before. */
const starts = [10_000, 70_000];
const jump = (nowMs: number, by: 1 | -1) => {
  const at = aheadOf(nowMs, by);
  const found = by === 1 ? starts.find((start) => start > at) : starts.findLast((start) => start < at);
  return found === undefined ? null : found - LEAD_MS;
};

describe("jumps to activity", () => {
  it("land a little before it, and go on from there", () => {
    expect(jump(0, 1)).toBe(8000);
    expect(jump(8000, 1)).toBe(68_000);
    expect(jump(68_000, 1)).toBeNull();
  });

  it("go back to the one before, also when a second has been played since", () => {
    expect(jump(90_000, -1)).toBe(68_000);
    expect(jump(68_000, -1)).toBe(8000);
    expect(jump(69_000, -1)).toBe(8000);
    expect(jump(8000, -1)).toBeNull();
  });
});
