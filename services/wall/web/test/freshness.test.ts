import { describe, expect, it } from "vitest";
import { allowanceMs, Freshness, STALE_AFTER_MS } from "../src/model/freshness.js";

const pace = { source: "live", framesPerSecond: 25, keyframesOnly: false, rate: 1 } as const;

function shown(): Freshness {
  const fresh = new Freshness();
  fresh.begin(0);
  fresh.frame(1000, 100);
  return fresh;
}

describe("a live picture", () => {
  it("is told stale within two seconds, looked at four times a second", () => {
    expect(allowanceMs(pace) + 2 * 250).toBeLessThan(2000);
    const fresh = shown();
    fresh.look(100 + STALE_AFTER_MS, STALE_AFTER_MS);
    expect(fresh.staleSinceMs).toBeNull();
    fresh.look(101 + STALE_AFTER_MS, STALE_AFTER_MS);
    expect(fresh.staleSinceMs).toBe(100);
    fresh.look(9000, STALE_AFTER_MS);
    expect(fresh.staleSinceMs).toBe(100);
  });

  it("stays stale while cached frames are replayed, until one after them comes", () => {
    const fresh = shown();
    fresh.look(5000, STALE_AFTER_MS);
    fresh.replay(2000);
    for (const rtp of [1990, 1999, 2000]) fresh.frame(rtp, 6000);
    expect([fresh.staleSinceMs, fresh.replaying]).toEqual([100, true]);
    fresh.frame(2001, 6100);
    expect([fresh.staleSinceMs, fresh.replaying]).toEqual([null, false]);
  });

  it("becomes stale where a tile opens on a camera that stands still: its cached frames are not fresh", () => {
    const fresh = new Freshness();
    fresh.begin(0);
    fresh.replay(2000);
    fresh.frame(1999, 50);
    fresh.frame(2000, 60);
    fresh.look(STALE_AFTER_MS + 1, STALE_AFTER_MS);
    expect(fresh.staleSinceMs).toBe(0);
  });

  it("goes by the server's word where the replay's end or the frame's time is not known", () => {
    const fresh = shown();
    fresh.look(5000, STALE_AFTER_MS);
    fresh.replay(null);
    fresh.frame(null, 5100);
    expect(fresh.staleSinceMs).toBe(100);
    fresh.flows();
    fresh.frame(null, 5200);
    expect(fresh.staleSinceMs).toBeNull();
  });

  it("is a copy of what was seen when its session ends, and fresh again with the next camera", () => {
    const fresh = shown();
    fresh.interrupt();
    expect(fresh.staleSinceMs).toBe(100);
    fresh.begin(700);
    expect(fresh.staleSinceMs).toBeNull();
  });

  it("is not blamed for the time in which no frame was due", () => {
    const fresh = shown();
    fresh.excuse(60_000);
    fresh.look(60_500, STALE_AFTER_MS);
    expect(fresh.staleSinceMs).toBeNull();
    fresh.look(70_000, STALE_AFTER_MS);
    fresh.excuse(80_000);
    expect(fresh.staleSinceMs).toBe(60_000);
  });
});

describe("how long a frame may take", () => {
  it("is longer for slow cameras, keyframes alone, and recordings", () => {
    expect(allowanceMs({ ...pace, framesPerSecond: 0 })).toBe(STALE_AFTER_MS);
    expect(allowanceMs({ ...pace, framesPerSecond: 1 })).toBe(2500);
    expect(allowanceMs({ ...pace, keyframesOnly: true })).toBeGreaterThan(10_000);
    expect(allowanceMs({ ...pace, source: "recorded" })).toBe(3000);
    expect(allowanceMs({ ...pace, source: "recorded", rate: 0.25 })).toBe(12_000);
    for (const rate of [-1, 16]) expect(allowanceMs({ ...pace, source: "recorded", rate })).toBeGreaterThan(10_000);
  });
});
