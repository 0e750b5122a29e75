import { describe, expect, it } from "vitest";
import { Lateness } from "../src/model/lateness.js";

describe("how late pictures are", () => {
  it("is told once a second, of the tile that is latest", () => {
    const lateness = new Lateness();
    expect(lateness.note(0, 40, 0)).toBe(40);
    expect(lateness.note(1, 700, 10)).toBeNull();
    expect(lateness.note(0, 30, 999)).toBeNull();
    expect(lateness.note(0, 30, 1000)).toBe(700);
  });

  it("forgets a tile that shows nothing any more", () => {
    const lateness = new Lateness();
    lateness.note(0, 900, 0);
    expect(lateness.note(1, -3, 1500)).toBe(900);
    expect(lateness.note(1, -3, 3000)).toBe(0);
  });
});
