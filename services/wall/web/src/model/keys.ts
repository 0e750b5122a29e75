/** The keyboard: one table for the handler and for the help that lists it. */

import type { MessageKey } from "../i18n/index.js";
import type { Direction, LayoutName } from "./layout.js";

export type Action =
  | { do: "move"; direction: Direction }
  | { do: "layout"; layout: LayoutName }
  | { do: "step"; step: "frame" | "-frame" | "keyframe" | "-keyframe" }
  | { do: "rate"; by: 1 | -1 }
  | { do: "activity"; by: 1 | -1 }
  | { do: "skip"; seconds: number }
  | {
      do:
        | "enlarge"
        | "escape"
        | "search"
        | "clear"
        | "language"
        | "help"
        | "panel"
        | "fullscreen"
        | "mute"
        | "timeline"
        | "play"
        | "reverse"
        | "live-all"
        | "source"
        | "export"
        | "busiest"
        | "incidents";
    };

export interface Binding {
  /** `KeyboardEvent.key`, with `Shift+` before it where the key alone is ambiguous. */
  keys: readonly string[];
  action: Action;
  /** Several bindings with one label stand in one line of the help. */
  label: MessageKey;
  group: "wall" | "playback" | "page";
}

const LAYOUT_KEYS: readonly LayoutName[] = ["1", "4", "9", "16", "25", "36", "1+5", "1+7"];

export const BINDINGS: readonly Binding[] = [
  { keys: ["ArrowLeft"], action: { do: "move", direction: "left" }, label: "key.move", group: "wall" },
  { keys: ["ArrowRight"], action: { do: "move", direction: "right" }, label: "key.move", group: "wall" },
  { keys: ["ArrowUp"], action: { do: "move", direction: "up" }, label: "key.move", group: "wall" },
  { keys: ["ArrowDown"], action: { do: "move", direction: "down" }, label: "key.move", group: "wall" },
  { keys: ["Enter"], action: { do: "enlarge" }, label: "key.enlarge", group: "wall" },
  { keys: ["/"], action: { do: "search" }, label: "key.search", group: "wall" },
  { keys: ["Delete", "Backspace"], action: { do: "clear" }, label: "key.clear", group: "wall" },
  ...LAYOUT_KEYS.map(
    (layout, i): Binding => ({
      keys: [String(i + 1)],
      action: { do: "layout", layout },
      label: i < 6 ? "key.grid" : "key.grid-large",
      group: "wall",
    }),
  ),
  { keys: ["m"], action: { do: "mute" }, label: "key.mute", group: "wall" },
  { keys: ["t"], action: { do: "timeline" }, label: "key.timeline", group: "playback" },
  { keys: [" "], action: { do: "play" }, label: "key.play", group: "playback" },
  { keys: ["r"], action: { do: "reverse" }, label: "key.reverse", group: "playback" },
  { keys: [","], action: { do: "step", step: "-frame" }, label: "key.frame", group: "playback" },
  { keys: ["."], action: { do: "step", step: "frame" }, label: "key.frame", group: "playback" },
  { keys: ["<", "Shift+,"], action: { do: "step", step: "-keyframe" }, label: "key.keyframe", group: "playback" },
  { keys: [">", "Shift+."], action: { do: "step", step: "keyframe" }, label: "key.keyframe", group: "playback" },
  { keys: ["["], action: { do: "rate", by: -1 }, label: "key.rate", group: "playback" },
  { keys: ["]"], action: { do: "rate", by: 1 }, label: "key.rate", group: "playback" },
  { keys: ["Shift+ArrowLeft"], action: { do: "skip", seconds: -10 }, label: "key.skip", group: "playback" },
  { keys: ["Shift+ArrowRight"], action: { do: "skip", seconds: 10 }, label: "key.skip", group: "playback" },
  { keys: ["p"], action: { do: "activity", by: -1 }, label: "key.activity", group: "playback" },
  { keys: ["n"], action: { do: "activity", by: 1 }, label: "key.activity", group: "playback" },
  { keys: ["a"], action: { do: "busiest" }, label: "key.busiest", group: "playback" },
  { keys: ["v"], action: { do: "source" }, label: "key.source", group: "playback" },
  { keys: ["b"], action: { do: "live-all" }, label: "key.live-all", group: "playback" },
  { keys: ["e"], action: { do: "export" }, label: "key.export", group: "playback" },
  { keys: ["i"], action: { do: "incidents" }, label: "key.incidents", group: "page" },
  { keys: ["c"], action: { do: "panel" }, label: "key.panel", group: "page" },
  { keys: ["f"], action: { do: "fullscreen" }, label: "key.fullscreen", group: "page" },
  { keys: ["l"], action: { do: "language" }, label: "key.language", group: "page" },
  { keys: ["Escape"], action: { do: "escape" }, label: "key.escape", group: "page" },
  { keys: ["?"], action: { do: "help" }, label: "key.help", group: "page" },
];

const TABLE = new Map(BINDINGS.flatMap((binding) => binding.keys.map((key) => [key, binding.action] as const)));

export interface KeyPress {
  key: string;
  shiftKey: boolean;
  ctrlKey: boolean;
  altKey: boolean;
  metaKey: boolean;
}

/** What a key press means on the wall; null for keys that are the browser's. */
export function actionFor(press: KeyPress): Action | null {
  if (press.ctrlKey || press.altKey || press.metaKey) return null;
  const key = press.key.length === 1 ? press.key.toLowerCase() : press.key;
  if (press.shiftKey) {
    const shifted = TABLE.get(`Shift+${key}`);
    if (shifted) return shifted;
  }
  return TABLE.get(key) ?? null;
}

const KEY_NAMES: Record<string, string> = {
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  "Shift+ArrowLeft": "⇧ ←",
  "Shift+ArrowRight": "⇧ →",
  Delete: "Del",
  Escape: "Esc",
};

/** A key as the help shows it; `space` is the translated name of the space bar. */
export function keyName(key: string, space: string): string {
  if (key === " ") return space;
  return KEY_NAMES[key] ?? (key.length === 1 ? key.toUpperCase() : key);
}

/** The help's lines: the first name of each key of every binding with one label. */
export function helpLines(group: Binding["group"]): { label: MessageKey; keys: string[] }[] {
  const lines = new Map<MessageKey, string[]>();
  for (const binding of BINDINGS) {
    if (binding.group !== group) continue;
    const first = binding.keys[0];
    if (first !== undefined) lines.set(binding.label, [...(lines.get(binding.label) ?? []), first]);
  }
  return [...lines].map(([label, keys]) => ({ label, keys }));
}
