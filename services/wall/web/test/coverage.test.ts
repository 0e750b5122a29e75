import { describe, expect, it } from "vitest";
import type { CameraCoverageView } from "../src/api/generated.js";
import { bytesText, daysText, percentText, worstFirst } from "../src/model/coverage.js";
import { around, LAYOUTS, localRfc3339, momentOf } from "../src/model/sheet.js";

function coverage(name: string, percent: number, recording = true): CameraCoverageView {
  return {
    camera: name,
    name,
    recording,
    removed: false,
    percent,
    recorded_seconds: 0,
    damaged_seconds: 0,
    missing_seconds: 0,
    lost_by_mesh_seconds: 0,
    lost_by_camera_seconds: 0,
    gaps: [],
    oldest_full: null,
    oldest_thinned: null,
    oldest_archived_full: null,
    oldest_archived_thinned: null,
    bytes_per_day: 0,
    forecast_full_days: null,
    forecast_keyframe_days: null,
    forecast_archive_days: null,
  };
}

describe("a coverage statement", () => {
  it("begins with what is recorded least, and ends with what is not to be recorded", () => {
    const sorted = worstFirst([coverage("c", 0, false), coverage("b", 100), coverage("a", 100), coverage("d", 40)]);
    expect(sorted.map(({ name }) => name)).toEqual(["d", "a", "b", "c"]);
  });

  it("never rounds up to complete", () => {
    expect(percentText(99.999, "en-GB")).toBe("99.99 %");
    expect(percentText(100, "en-GB")).toBe("100 %");
  });

  it("tells sizes and days as people read them", () => {
    expect(bytesText(0, "en-GB")).toBe("0 B");
    expect(bytesText(1_234_000_000_000, "en-GB")).toBe("1.2 TB");
    expect(bytesText(999, "en-GB")).toBe("999 B");
    expect(daysText(3.14, "en-GB")).toBe("3.1");
    expect(daysText(59.6, "en-GB")).toBe("60");
  });
});

describe("a contact sheet", () => {
  const span = { fromMs: 1_000_000, toMs: 1_000_000 + 24_000 };
  const layout = { columns: 4, rows: 6 };
  const size = { widthPx: 4 * 326 + 6, heightPx: 34 + 6 * 208 + 6 };

  it("is asked for in the page's own zone", () => {
    expect(localRfc3339(Date.UTC(2026, 2, 1), 420)).toBe("2026-03-01T07:00:00.000+07:00");
    expect(localRfc3339(Date.UTC(2026, 2, 1), -210)).toBe("2026-02-28T20:30:00.000-03:30");
  });

  it("leaves empty time before the first footage out, unless nothing else is left", () => {
    const [now, hour] = [100_000_000, 3_600_000];
    const timeline = (fromMs: number) => ({
      camera: "a",
      fromMs: 0,
      toMs: now,
      ranges: [{ fromMs, toMs: now, kind: "full" as const }],
      gaps: [],
      damage: [],
      activity: [],
    });
    expect(around(now, now, undefined)).toEqual({ fromMs: now - hour / 2, toMs: now });
    expect(around(now, now, timeline(now - 60_000))).toEqual({ fromMs: now - 60_000, toMs: now });
    expect(around(now - hour, now, timeline(0))).toEqual({ fromMs: now - 1.5 * hour, toMs: now - hour / 2 });
    expect(around(now, now, timeline(now - 5_000))).toEqual({ fromMs: now - hour / 2, toMs: now });
  });

  it("leads from a click to the moment of the picture under it", () => {
    expect(momentOf(layout, span, size, 100 / size.widthPx, 100 / size.heightPx)).toBe(span.fromMs);
    expect(momentOf(layout, span, size, 0.99, 0.99)).toBe(span.fromMs + 23_000);
    expect(momentOf(layout, span, size, 0.5, 10 / size.heightPx)).toBeNull();
  });

  it("never asks for more pictures than the server draws", () => {
    for (const { columns, rows } of LAYOUTS) expect(columns * rows).toBeLessThanOrEqual(120);
  });
});
