import { expect, it } from "vitest";
import { LEAST_PX, listWidth, MOST_PX, rememberedWidth, rememberWidth } from "../src/model/list-width.js";

it("keeps the camera list's width within what its rows can bear, and remembers it", () => {
  const kept = new Map<string, string>();
  const storage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, to: string) => kept.set(key, to),
  };
  const first = rememberedWidth(storage);
  expect([listWidth(-5), listWidth(400.4), listWidth(5000)]).toEqual([LEAST_PX, 400, MOST_PX]);
  rememberWidth(storage, 412);
  expect(rememberedWidth(storage)).toBe(412);
  rememberWidth(storage, 9000);
  expect(rememberedWidth(storage)).toBe(MOST_PX);
  for (const key of kept.keys()) kept.set(key, "wide");
  expect(rememberedWidth(storage)).toBe(first);
});
