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

  it("undoes and redoes with the keys that people know", () => {
    expect(press("z", { ctrlKey: true })).toEqual({ do: "undo" });
    expect(press("z", { metaKey: true })).toEqual({ do: "undo" });
    expect(press("y", { ctrlKey: true })).toEqual({ do: "redo" });
    expect(press("Z", { ctrlKey: true, shiftKey: true })).toEqual({ do: "redo" });
  });

  it("opens a saved wall with Shift and a digit, whichever sign the keyboard writes there", () => {
    expect(press("!", { shiftKey: true, code: "Digit1" })).toEqual({ do: "saved", key: 1 });
    expect(press("/", { shiftKey: true, code: "Digit7" })).toEqual({ do: "saved", key: 7 });
    expect(press("9", { code: "Digit9" })).toEqual({ do: "layout", layout: "49" });
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
