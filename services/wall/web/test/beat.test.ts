import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Beat } from "../src/ui/beat.js";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it("is one timer for all, four times a second, while anybody follows it", () => {
  const beat = new Beat();
  const heard: string[] = [];
  const ends = [
    beat.follow(() => heard.push("a")),
    beat.follow(() => heard.push("b")),
    beat.followSeconds(() => heard.push("second")),
  ];
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(1000);
  expect(heard).toEqual(["a", "b", "a", "b", "a", "b", "a", "b", "second"]);
  for (const end of ends) end();
  expect(vi.getTimerCount()).toBe(0);
  beat.follow(() => heard.push("c"));
  vi.advanceTimersByTime(250);
  expect(heard.at(-1)).toBe("c");
});
