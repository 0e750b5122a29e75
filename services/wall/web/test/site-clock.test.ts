import { afterEach, describe, expect, it, vi } from "vitest";

const HOUR_MS = 3_600_000;
/** What the workstation's own clock says. */
const LOCAL_MS = Date.parse("2026-11-29T12:00:00.400Z");

describe("the server's time on the page", () => {
  afterEach(() => {
    vi.useRealTimers();
    vi.resetModules();
  });

  async function begin() {
    vi.useFakeTimers({ now: LOCAL_MS });
    return import("../src/model/site-clock.js");
  }

  const dateOf = (ms: number) => new Date(ms).toUTCString();

  it("is the workstation's own, to the millisecond, while that may be right", async () => {
    const { noteServerTime, siteNow } = await begin();
    noteServerTime(dateOf(LOCAL_MS), LOCAL_MS - 30, LOCAL_MS);
    expect(siteNow()).toBe(LOCAL_MS);
    noteServerTime(null, LOCAL_MS - 30, LOCAL_MS);
    noteServerTime("yesterday", LOCAL_MS - 30, LOCAL_MS);
    expect(siteNow()).toBe(LOCAL_MS);
  });

  it.each([-HOUR_MS, HOUR_MS])("is within a second of the server's where that is %i ms ahead", async (aheadMs) => {
    const { noteServerTime, siteNow } = await begin();
    const serverMs = LOCAL_MS + aheadMs;
    noteServerTime(dateOf(serverMs), LOCAL_MS - 30, LOCAL_MS);
    expect(Math.abs(siteNow() - serverMs)).toBeLessThanOrEqual(1000);
    const known = siteNow() - LOCAL_MS;
    vi.setSystemTime(LOCAL_MS + 5000);
    noteServerTime(dateOf(serverMs + 5000), LOCAL_MS + 2000, LOCAL_MS + 5000);
    expect(siteNow() - LOCAL_MS - 5000).toBe(known);
  });

  it("follows a workstation's clock that was put right", async () => {
    const { noteServerTime, siteNow } = await begin();
    noteServerTime(dateOf(LOCAL_MS + HOUR_MS), LOCAL_MS - 30, LOCAL_MS);
    vi.setSystemTime(LOCAL_MS + HOUR_MS);
    noteServerTime(dateOf(LOCAL_MS + HOUR_MS), LOCAL_MS + HOUR_MS - 30, LOCAL_MS + HOUR_MS);
    expect(Math.abs(siteNow() - LOCAL_MS - HOUR_MS)).toBeLessThanOrEqual(1000);
  });
});
