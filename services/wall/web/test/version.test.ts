import { describe, expect, it } from "vitest";
import { IDLE_MS, VersionWatch } from "../src/app/version.js";

function watched() {
  let nowMs = 1_000_000;
  let reloads = 0;
  const watch = new VersionWatch(
    () => nowMs,
    () => {
      reloads += 1;
    },
  );
  return { watch, pass: (ms: number) => (nowMs += ms), reloads: () => reloads };
}

describe("a new version of the server", () => {
  it("is told, and loaded once nobody has touched the page for a while", () => {
    const { watch, pass, reloads } = watched();
    watch.told("1");
    watch.told("1");
    pass(IDLE_MS);
    watch.look(false);
    expect([watch.outdated.value, reloads()]).toEqual([false, 0]);
    watch.told("2");
    watch.touched();
    watch.look(false);
    pass(IDLE_MS - 1);
    watch.look(false);
    expect([watch.outdated.value, reloads()]).toEqual([true, 0]);
    pass(1);
    watch.look(false);
    expect(reloads()).toBe(1);
  });

  it("waits while a recording is looked at", () => {
    const { watch, pass, reloads } = watched();
    watch.told("1");
    watch.told("2");
    pass(2 * IDLE_MS);
    watch.look(true);
    expect(reloads()).toBe(0);
  });
});
