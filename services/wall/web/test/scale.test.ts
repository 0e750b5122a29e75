import { describe, expect, it } from "vitest";
import { isScaleChoice, pointIn, scale, scaleChoice, scaleFor, startScale } from "../src/model/scale.js";

describe("the page's scale", () => {
  it("grows with the window by itself, on a wall screen earlier than on a desk", () => {
    const widths = [390, 1366, 1920, 2560, 3840, 7680];
    expect(widths.map((width) => scaleFor("auto", width, false))).toEqual([1, 1, 1, 1.25, 2, 3]);
    expect(widths.map((width) => scaleFor("auto", width, true))).toEqual([1, 1, 1.5, 2, 3, 3]);
  });

  it("is what somebody chose, as far as the window leaves room for the page", () => {
    expect(scaleFor("1", 3840, false)).toBe(1);
    expect(scaleFor("3", 1366, false)).toBe(1.25);
    expect(scaleFor("3", 1366, true)).toBe(2);
    expect(scaleFor("2", 390, false)).toBe(1);
    expect([isScaleChoice("1.5"), isScaleChoice("1.6"), isScaleChoice(null)]).toEqual([true, false, false]);
  });

  it("is taken from the address before the memory, follows the window, and pointers are where they are seen", () => {
    const styles = new Map<string, string>();
    const resized: (() => void)[] = [];
    const page = {
      innerWidth: 2560,
      location: { search: "?scale=2" },
      document: {
        documentElement: { style: { setProperty: (name: string, value: string) => styles.set(name, value) } },
      },
      addEventListener: (_: string, listener: () => void) => resized.push(listener),
    };
    startScale(page as unknown as Window, { getItem: () => "1" }, false);
    expect(styles).toEqual(
      new Map([
        ["--scale", "2"],
        ["zoom", "2"],
      ]),
    );
    const element = { getBoundingClientRect: () => ({ left: 100, top: 50 }) } as Element;
    expect(pointIn({ clientX: 300, clientY: 90 }, element)).toEqual({ x: 100, y: 20 });
    page.innerWidth = 640;
    for (const listener of resized) listener();
    expect(scale.value).toBe(1);
    scaleChoice.set("auto");
  });
});
