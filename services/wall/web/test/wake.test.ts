import { expect, it } from "vitest";
import { STOOD_STILL_MS, WakeWatch } from "../src/model/wake.js";

it("a page that slept is told once that it did, and one in the background never", () => {
  const clock = { ms: 0 };
  const wake = new WakeWatch(() => clock.ms);
  const after = (ms: number) => {
    clock.ms += ms;
    return wake.look();
  };
  expect([after(1000), after(60_000), after(STOOD_STILL_MS)]).toEqual([false, false, false]);
  expect([after(300_000), after(1000)]).toEqual([true, false]);
});
