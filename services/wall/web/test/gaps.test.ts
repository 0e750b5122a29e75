import { describe, expect, it } from "vitest";
import { moveOverGap } from "../src/model/gaps.js";
import { slotNotice } from "./samples.js";

const AT_MS = 1_790_000_000_000;
const NOW_MS = AT_MS + 3_600_000;
const gap = (untilMs: number | null) =>
  slotNotice({ source: "recorded", state: "gap", until_us: untilMs === null ? null : untilMs * 1000 });
const playing = slotNotice({ source: "recorded", state: "playing" });

describe("a clock that runs where nothing is recorded", () => {
  it("runs on while any tile has a picture, or may have one", () => {
    expect(moveOverGap([], AT_MS, NOW_MS)).toBeNull();
    expect(moveOverGap([gap(AT_MS + 9000), playing], AT_MS, NOW_MS)).toBeNull();
    expect(moveOverGap([gap(AT_MS + 9000), null], AT_MS, NOW_MS)).toBeNull();
  });

  it("jumps to the first footage after the gaps", () => {
    const move = moveOverGap([gap(AT_MS + 9000), gap(null), gap(AT_MS + 5000)], AT_MS, NOW_MS);
    expect(move).toEqual({ do: "jump", toMs: AT_MS + 5000 });
  });

  it("waits at a gap's end for the pictures", () => {
    expect(moveOverGap([gap(AT_MS)], AT_MS, NOW_MS)).toBeNull();
  });

  it("stops where nothing comes any more, but not at the present", () => {
    expect(moveOverGap([gap(null)], AT_MS, NOW_MS)).toEqual({ do: "stop" });
    expect(moveOverGap([gap(null)], NOW_MS - 5000, NOW_MS)).toBeNull();
  });
});
