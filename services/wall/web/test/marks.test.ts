import { describe, expect, it } from "vitest";
import { dayOf, firstRecorded, fitted, otherDay } from "../src/model/day-strip.js";
import { momentTime } from "../src/model/format.js";
import { actionFor } from "../src/model/keys.js";
import { markedRange } from "../src/model/marked-range.js";
import { CLOCK_HZ, captureTimeUs } from "../src/model/rtp.js";
import type { Timeline } from "../src/model/timeline.js";

const NOW_MS = Date.UTC(2026, 10, 29, 12);

describe("the range marked with I and O", () => {
  it("begins and ends where it was marked", () => {
    const from = markedRange(null, "from", NOW_MS - 600_000, NOW_MS);
    expect(from).toEqual({ fromMs: NOW_MS - 600_000, toMs: NOW_MS - 540_000 });
    const both = markedRange(from, "to", NOW_MS - 300_000, NOW_MS);
    expect(both).toEqual({ fromMs: NOW_MS - 600_000, toMs: NOW_MS - 300_000 });
    expect(markedRange(both, "from", NOW_MS - 400_000, NOW_MS).toMs).toBe(NOW_MS - 300_000);
  });

  it("is never turned around, and never in the future", () => {
    const range = { fromMs: NOW_MS - 600_000, toMs: NOW_MS - 300_000 };
    expect(markedRange(range, "to", NOW_MS - 700_000, NOW_MS)).toEqual({
      fromMs: NOW_MS - 760_000,
      toMs: NOW_MS - 700_000,
    });
    expect(markedRange(range, "from", NOW_MS - 10_000, NOW_MS)).toEqual({ fromMs: NOW_MS - 10_000, toMs: NOW_MS });
  });
});

describe("skips", () => {
  const press = (key: string, modifiers = {}) =>
    actionFor({ key, shiftKey: false, ctrlKey: false, altKey: false, metaKey: false, ...modifiers });

  it.each([
    ["ArrowLeft", { ctrlKey: true }, -5],
    ["ArrowRight", { shiftKey: true }, 10],
    ["ArrowLeft", { ctrlKey: true, shiftKey: true }, -60],
    ["PageDown", {}, 300],
  ])("%s with %j is %d seconds", (key, modifiers, seconds) => {
    expect(press(key, modifiers)).toEqual({ do: "skip", seconds });
  });

  it("leaves the browser its own: Alt and an arrow is its Back", () => {
    expect(press("ArrowLeft", { altKey: true })).toBeNull();
  });
});

describe("a day in one line", () => {
  it("is midnight to midnight of the site, an hour longer or shorter where the clocks change", () => {
    const day = dayOf(NOW_MS, "Asia/Jakarta");
    expect(new Date(day.fromMs).toISOString()).toBe("2026-11-28T17:00:00.000Z");
    expect(day.toMs - day.fromMs).toBe(86_400_000);
    const long = dayOf(Date.UTC(2026, 9, 25, 10), "Europe/Berlin");
    expect(long.toMs - long.fromMs).toBe(25 * 3_600_000);
    expect(otherDay(NOW_MS, -1)).toBe(NOW_MS - 86_400_000);
  });
});

describe("the timeline's first window", () => {
  const timeline = (...starts: number[]): Timeline => ({
    camera: "gate",
    fromMs: 0,
    toMs: NOW_MS,
    ranges: starts.map((fromMs) => ({ fromMs, toMs: fromMs + 1000, kind: "full" })),
    gaps: [],
    damage: [],
    activity: [],
  });
  const asked = { fromMs: NOW_MS - 7_200_000, toMs: NOW_MS + 300_000 };

  it("fits what there is, and is as asked where there is more", () => {
    const { fromMs, toMs } = fitted(asked, [timeline(NOW_MS - 600_000), timeline(NOW_MS - 300_000)], NOW_MS);
    expect(fromMs).toBe(NOW_MS - 624_000);
    expect(toMs).toBe(NOW_MS + 24_000);
    expect(fitted(asked, [timeline(NOW_MS - 8_000_000)], NOW_MS)).toBe(asked);
    expect(fitted(asked, [timeline()], NOW_MS)).toBe(asked);
    expect(firstRecorded([])).toBeNull();
  });

  it("is at least a minute long, when recording has just begun", () => {
    const { fromMs, toMs } = fitted(asked, [timeline(NOW_MS - 1000)], NOW_MS);
    expect(toMs - fromMs).toBeGreaterThanOrEqual(60_000);
  });
});

describe("a recorded picture's own time", () => {
  it("has the day before it where that is not today", () => {
    expect(momentTime(NOW_MS, NOW_MS + 1000, "id", "UTC")).toBe("12:00:00");
    expect(momentTime(NOW_MS - 86_400_000, NOW_MS, "id", "UTC")).toMatch(/28 Nov 12:00:00$/);
  });

  it("follows the rate, backwards too", () => {
    const mark = { rtp: 1000, capture_us: 5_000_000 };
    expect(captureTimeUs(1000 + CLOCK_HZ, mark)).toBe(6_000_000);
    expect(captureTimeUs(1000 + CLOCK_HZ, mark, 4)).toBe(9_000_000);
    expect(captureTimeUs(1000 + CLOCK_HZ, mark, -2)).toBe(3_000_000);
  });
});
