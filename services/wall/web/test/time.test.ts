import { describe, expect, it } from "vitest";
import { clockMs, nextRate, RATES } from "../src/model/clock.js";
import { clockTime, dateTime, dayDate, duration, rangeTime, rateText, sinceTime } from "../src/model/format.js";
import { momentText, parseMoment } from "../src/model/moment.js";
import { captureTimeUs, reached, rtpDifference } from "../src/model/rtp.js";
import { MAX_SPAN_MS, MIN_SPAN_MS, pan, reveal, ticks, toMs, toPx, zoom } from "../src/model/time-scale.js";
import { siteZone, zoneOffsetMinutes } from "../src/model/zone.js";

const HOUR = 3_600_000;
const scale = { fromMs: 10 * HOUR, toMs: 12 * HOUR, widthPx: 1000 };

describe("time and pixel", () => {
  it("are each other's inverse", () => {
    for (const px of [0, 1, 333, 999, 1000]) expect(toPx(scale, toMs(scale, px))).toBeCloseTo(px, 6);
    expect(toPx(scale, 11 * HOUR)).toBe(500);
  });

  it("zoom keeps the moment under the pointer, within limits", () => {
    const near = zoom(scale, 0.25, 250);
    expect(toMs(near, 250)).toBeCloseTo(toMs(scale, 250), 3);
    expect(near.toMs - near.fromMs).toBe(HOUR / 2);
    expect(zoom(scale, 1e-9, 0).toMs - zoom(scale, 1e-9, 0).fromMs).toBeCloseTo(MIN_SPAN_MS, 3);
    expect(zoom(scale, 1e9, 0).toMs - zoom(scale, 1e9, 0).fromMs).toBeCloseTo(MAX_SPAN_MS, 3);
  });

  it("pan moves both ends", () => {
    expect(pan(scale, 500)).toEqual({ fromMs: 11 * HOUR, toMs: 13 * HOUR, widthPx: 1000 });
  });

  it("reveal moves the window only when the moment left it", () => {
    expect(reveal(scale, 11 * HOUR)).toBe(scale);
    for (const ms of [0, 13 * HOUR]) {
      const moved = reveal(scale, ms);
      expect(ms).toBeGreaterThan(moved.fromMs);
      expect(ms).toBeLessThan(moved.toMs);
      expect(moved.toMs - moved.fromMs).toBe(2 * HOUR);
    }
  });
});

describe("ticks", () => {
  const jakarta = () => 7 * 60;

  it.each([MIN_SPAN_MS, 60_000, HOUR, 2 * HOUR, 24 * HOUR, 7 * 24 * HOUR, MAX_SPAN_MS])(
    "are apart enough over %d ms",
    (span) => {
      const found = ticks({ fromMs: 5 * HOUR, toMs: 5 * HOUR + span, widthPx: 1000 }, 90, jakarta);
      expect(found.length).toBeGreaterThan(0);
      expect(found.length).toBeLessThanOrEqual(12);
      for (let i = 1; i < found.length; i++)
        expect((found[i]?.px ?? 0) - (found[i - 1]?.px ?? 0)).toBeGreaterThanOrEqual(89.9);
    },
  );

  it("stand at round local times, and midnight is a day", () => {
    const found = ticks({ fromMs: 0, toMs: 24 * HOUR, widthPx: 1000 }, 90, jakarta);
    expect(found.every((tick) => (tick.ms + 7 * HOUR) % (3 * HOUR) === 0)).toBe(true);
    expect(found.filter((tick) => tick.unit === "day").map((tick) => tick.ms)).toEqual([17 * HOUR]);
  });
});

describe("the playback clock", () => {
  it("goes on between notices at its rate, and stands when paused", () => {
    const reading = { at_us: 5_000_000, rate: -2, playing: true, receivedMs: 1000 };
    expect(clockMs(reading, 1500)).toBe(4000);
    expect(clockMs({ ...reading, playing: false }, 9999)).toBe(5000);
  });

  it("changes speed in steps and keeps the direction", () => {
    expect(nextRate(1, 1)).toBe(2);
    expect(nextRate(-1, 1)).toBe(-2);
    expect(nextRate(0.25, -1)).toBe(0.25);
    expect(nextRate(16, 1)).toBe(32);
    expect(nextRate(64, 1)).toBe(64);
    expect(nextRate(3, 1)).toBe(8);
    expect(RATES).toContain(nextRate(1, -1));
  });
});

describe("RTP timestamps", () => {
  it("compare over the wrap", () => {
    expect(rtpDifference(5, 2 ** 32 - 5)).toBe(10);
    expect(rtpDifference(2 ** 32 - 5, 5)).toBe(-10);
    expect(reached(5, 2 ** 32 - 5)).toBe(true);
    expect(reached(2 ** 32 - 5, 5)).toBe(false);
    expect(reached(7, 7)).toBe(true);
    expect(rtpDifference(0, -10)).toBe(10);
  });

  it("give the picture's capture time", () => {
    expect(captureTimeUs(90_000, { rtp: 0, capture_us: 10 })).toBe(1_000_010);
    expect(captureTimeUs(2 ** 32 - 45_000, { rtp: 0, capture_us: 1_000_000 })).toBe(500_000);
  });
});

describe("times as people read them", () => {
  const at = Date.UTC(2026, 10, 2, 7, 5, 9);
  const zone = "Asia/Jakarta";

  it("have colons and 24 hours in both languages", () => {
    expect(clockTime(at, "id", zone)).toBe("14:05:09");
    expect(clockTime(at, "en", zone)).toBe("14:05:09");
    expect(clockTime(Date.UTC(2026, 0, 1, 17), "en", zone)).toBe("00:00:00");
  });

  it("of a range names the second day where it is another one", () => {
    const from = Date.UTC(2026, 10, 29, 16, 59, 50);
    expect(rangeTime(from, from + 5000, "en", "Asia/Jakarta")).toBe("29 Nov 2026, 23:59:50 – 23:59:55");
    expect(rangeTime(from, from + 20_000, "id", "Asia/Jakarta")).toBe("29 Nov 2026, 23:59:50 – 30 Nov 2026, 00:00:10");
  });

  it("name the day in the language", () => {
    expect(dayDate(at, "id", zone)).toMatch(/Sen.*2.*Nov/);
    expect(dayDate(at, "en", zone)).toMatch(/Mon.*2.*Nov/);
    expect(dateTime(at, "en", zone)).toBe("2 Nov 2026, 14:05:09");
  });

  it("leave out the day only when it is today", () => {
    expect(sinceTime(at, at + HOUR, "en", zone)).toBe("14:05:09");
    expect(sinceTime(at, at + 30 * HOUR, "en", zone)).toMatch(/2 Nov.* 14:05$/);
    expect(sinceTime(at, at + 365.25 * 24 * HOUR, "en", zone)).toMatch(/2 Nov/);
  });

  it("write lengths and speeds", () => {
    expect([0, 59_600, 61_000, 3_661_000].map(duration)).toEqual(["0:00", "1:00", "1:01", "1:01:01"]);
    expect(rateText(-0.25, "id")).toBe("−0,25×");
    expect(rateText(2, "en")).toBe("2×");
  });

  it("are those of the site's zone once it is known", () => {
    siteZone.set("Asia/Jayapura");
    expect(clockTime(at, "id")).toBe("16:05:09");
    expect(momentText(at)).toBe("02/11/2026 16:05:09");
    siteZone.set(undefined);
  });
});

describe("times as people type them", () => {
  const zone = "Asia/Jakarta";
  const near = Date.UTC(2026, 10, 30, 3);
  const at = Date.UTC(2026, 10, 29, 12, 55);

  it.each([
    ["29/11/2026 19:55:00", at],
    [" 29/11 19.55 ", at],
    ["29-11 19:55", at],
    ["2026-11-29T19:55:00", at],
    ["19.55", at + 24 * HOUR],
    ["7:05:09", Date.UTC(2026, 10, 30, 0, 5, 9)],
    ["31/12 23:00", Date.UTC(2025, 11, 31, 16)],
    ["1/12 00:00", Date.UTC(2026, 10, 30, 17)],
    ["29/02/2026 10:00", null],
    ["29/11 25:00", null],
    ["29/11", null],
    ["a 19:55", null],
    ["", null],
  ])("%s", (text, ms) => {
    expect(parseMoment(text, near, zone)).toBe(ms);
  });

  it("come back as they were written, also where the clocks change", () => {
    for (const each of [zone, "Europe/London", "America/St_Johns", undefined]) {
      for (let ms = Date.UTC(2026, 2, 28, 12); ms < Date.UTC(2026, 2, 30); ms += HOUR) {
        expect(parseMoment(momentText(ms, each), near, each)).toBe(ms);
      }
    }
    expect(zoneOffsetMinutes(at, "Asia/Jakarta")).toBe(420);
    expect(zoneOffsetMinutes(at + 999, "America/St_Johns")).toBe(-210);
  });
});
