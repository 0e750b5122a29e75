import { describe, expect, it } from "vitest";
import { actionFor, BINDINGS, helpLines, keyName } from "../src/model/keys.js";

const press = (key: string, modifiers = {}) =>
  actionFor({ key, shiftKey: false, ctrlKey: false, altKey: false, metaKey: false, ...modifiers });

describe("the keyboard", () => {
  it("has every key once", () => {
    const keys = BINDINGS.flatMap((binding) => binding.keys);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it("leaves the browser's own shortcuts alone", () => {
    expect(press("f", { ctrlKey: true })).toBeNull();
    expect(press("ArrowLeft", { altKey: true })).toBeNull();
    expect(press("r", { metaKey: true })).toBeNull();
    expect(press("Tab")).toBeNull();
  });

  it("does not care about capitals", () => {
    expect(press("L")).toEqual({ do: "language" });
    expect(press("l")).toEqual({ do: "language" });
  });

  it("tells shifted keys from plain ones on every keyboard layout", () => {
    expect(press("ArrowLeft")).toEqual({ do: "move", direction: "left" });
    expect(press("ArrowLeft", { shiftKey: true })).toEqual({ do: "skip", seconds: -10 });
    expect(press("<", { shiftKey: true })).toEqual({ do: "step", step: "-keyframe" });
    expect(press(",", { shiftKey: true })).toEqual({ do: "step", step: "-keyframe" });
    expect(press("?", { shiftKey: true })).toEqual({ do: "help" });
    expect(press("/", { shiftKey: true })).toEqual({ do: "search" });
  });

  it("lists every binding in the help", () => {
    const listed = (["wall", "playback", "page"] as const).flatMap(helpLines);
    expect(listed.flatMap((line) => line.keys)).toHaveLength(BINDINGS.length);
    expect(new Set(listed.map((line) => line.label)).size).toBe(listed.length);
    expect(keyName(" ", "Spasi")).toBe("Spasi");
    expect(keyName("m", "")).toBe("M");
    expect(keyName("ArrowUp", "")).toBe("↑");
  });
});
