import { describe, expect, it } from "vitest";
import type { Incident } from "../src/api/generated.js";
import { footageRange, validRange, wholeSeconds } from "../src/model/footage.js";
import { laneAt, lanes, nameless, RULER_PX, totalHeightPx } from "../src/model/lanes.js";
import { momentAt, parseTimeline } from "../src/model/timeline.js";

const at = (second: number) => new Date(1_000_000_000_000 + second * 1000).toISOString();
const ms = (second: number) => 1_000_000_000_000 + second * 1000;
const span = (from: number, to: number) => ({ from: at(from), to: at(to) });

const timeline = parseTimeline({
  camera: "gate",
  ...span(0, 100),
  ranges: [
    { ...span(60, 100), tier: "keyframes", archived: true },
    { ...span(0, 40), tier: "full", archived: false },
  ],
  gaps: [{ ...span(40, 60), cause: "disk-full", detail: "", open: false }],
  damage: [{ ...span(20, 30), damaged_seconds: 4 }],
  activity: [
    { ...span(10, 12), level: 0.9 },
    { ...span(12, 14), level: 0.1 },
    { ...span(15, 18), level: 0.5 },
    { ...span(70, 72), level: 1 },
  ],
});

describe("a timeline", () => {
  it("tells what is there at a moment", () => {
    expect(momentAt(timeline, ms(0))).toEqual({ kind: "recorded", footage: "full", damaged: false });
    expect(momentAt(timeline, ms(20))).toEqual({ kind: "recorded", footage: "full", damaged: true });
    expect(momentAt(timeline, ms(40))).toEqual({ kind: "gap", cause: "disk-full", detail: "" });
    expect(momentAt(timeline, ms(60))).toEqual({ kind: "recorded", footage: "archived-keyframes", damaged: false });
    expect(momentAt(timeline, ms(100))).toEqual({ kind: "nothing" });
  });

  it("leaves out what has no readable times", () => {
    const body = { camera: "x", ...span(0, 1), gaps: [], damage: [], activity: [] };
    expect(
      parseTimeline({ ...body, ranges: [{ from: "soon", to: at(1), tier: "full", archived: false }] }).ranges,
    ).toEqual([]);
  });
});

describe("the timeline's rows", () => {
  it("put the selected camera first and tall", () => {
    const rows = lanes(["a", "b", "c"], "b");
    expect(rows.map((row) => row.camera)).toEqual(["b", "a", "c"]);
    expect(rows[0]?.heightPx).toBeGreaterThan(rows[1]?.heightPx ?? 0);
    expect(laneAt(rows, RULER_PX + 1)?.camera).toBe("b");
    expect(laneAt(rows, 1)).toBeUndefined();
  });

  it("are named while there is room, else told as a number; the selected one always is", () => {
    const cameras = Array.from({ length: 16 }, (_, i) => `cam-${i}`);
    expect(nameless(lanes(cameras.slice(0, 7), "cam-0"))).toEqual([]);
    expect(nameless(lanes(cameras, "cam-3")).map(({ camera }) => camera)).toEqual(
      cameras.filter((id) => id !== "cam-3"),
    );
  });

  it("stay low enough with sixteen cameras, without overlapping", () => {
    const rows = lanes(
      Array.from({ length: 16 }, (_, i) => `cam-${i}`),
      "cam-3",
    );
    expect(totalHeightPx(rows)).toBeLessThan(220);
    for (let i = 1; i < rows.length; i++) {
      expect(rows[i]?.topPx).toBeGreaterThanOrEqual((rows[i - 1]?.topPx ?? 0) + (rows[i - 1]?.heightPx ?? 0));
    }
  });

  it("have a height when there are none", () => {
    expect(totalHeightPx(lanes([], null))).toBeGreaterThan(RULER_PX);
  });
});

describe("the range of a dialog", () => {
  const incident = { from_us: 1000, to_us: null } as Incident;

  it("is the incident's, till now while it goes on", () => {
    expect(footageRange(incident, null, 0, 500)).toEqual({ fromMs: 1, toMs: 500 });
    expect(footageRange({ ...incident, to_us: 2_000_000 }, null, 0, 500)).toEqual({ fromMs: 1, toMs: 500 });
  });

  it("is what was marked, else the minute before the moment on the screen", () => {
    expect(footageRange(null, { fromMs: 1, toMs: 2 }, 0, 0)).toEqual({ fromMs: 1, toMs: 2 });
    expect(footageRange(null, null, 100_000, 200_000)).toEqual({ fromMs: 40_000, toMs: 100_000 });
  });

  it("is asked for in whole seconds that hold all of it, and none of the future", () => {
    expect(wholeSeconds({ fromMs: 10_900, toMs: 20_100 }, 60_000)).toEqual({ fromMs: 10_000, toMs: 21_000 });
    expect(wholeSeconds({ fromMs: 10_900, toMs: 20_100 }, 20_500)).toEqual({ fromMs: 10_000, toMs: 20_000 });
  });

  it("is refused when it is empty, reversed or missing", () => {
    expect(validRange(1000, 2000)).toEqual({ fromMs: 1000, toMs: 2000 });
    for (const [from, to] of [
      [1, 1],
      [5000, 1],
      [null, 5],
      [5, null],
    ] as const)
      expect(validRange(from, to)).toBeNull();
  });
});
