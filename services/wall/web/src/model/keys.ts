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
  | { do: "grow"; by: 1 | -1 }
  | { do: "mark"; edge: "from" | "to" }
  | { do: "saved"; key: number }
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
        | "ago"
        | "live-all"
        | "source"
        | "export"
        | "busiest"
        | "incidents"
        | "events"
        | "undo"
        | "redo"
        | "hotspot"
        | "walls"
        | "screens"
        | "place"
        | "health"
        | "map";
    };

export interface Binding {
  /** `KeyboardEvent.key`; `Ctrl+` and `Shift+` before it where the key alone means something else. */
  keys: readonly string[];
  action: Action;
  /** Several bindings with one label stand in one line of the help. */
  label: MessageKey;
  group: "wall" | "playback" | "page";
}

const LAYOUT_KEYS: readonly LayoutName[] = ["1", "4", "9", "16", "25", "36", "6", "8", "49", "64"];
const SKIPS: readonly (readonly [string, string, number, MessageKey])[] = [
  ["Ctrl+ArrowLeft", "Ctrl+ArrowRight", 5, "key.skip-5s"],
  ["Shift+ArrowLeft", "Shift+ArrowRight", 10, "key.skip-10s"],
  ["Ctrl+Shift+ArrowLeft", "Ctrl+Shift+ArrowRight", 60, "key.skip-1m"],
  ["PageUp", "PageDown", 300, "key.skip-5m"],
];
const SAVED_KEYS = [1, 2, 3, 4, 5, 6, 7, 8, 9] as const;

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
      keys: [String((i + 1) % 10)],
      action: { do: "layout", layout },
      label: "key.grid",
      group: "wall",
    }),
  ),
  ...SAVED_KEYS.map(
    (key): Binding => ({ keys: [`Shift+${key}`], action: { do: "saved", key }, label: "key.saved", group: "wall" }),
  ),
  { keys: ["w"], action: { do: "walls" }, label: "key.walls", group: "wall" },
  { keys: ["Ctrl+z"], action: { do: "undo" }, label: "key.undo", group: "wall" },
  { keys: ["Ctrl+y", "Ctrl+Shift+z"], action: { do: "redo" }, label: "key.redo", group: "wall" },
  { keys: ["+", "="], action: { do: "grow", by: 1 }, label: "key.grow", group: "wall" },
  { keys: ["-"], action: { do: "grow", by: -1 }, label: "key.grow", group: "wall" },
  { keys: ["h"], action: { do: "hotspot" }, label: "key.hotspot", group: "wall" },
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
  { keys: ["q"], action: { do: "ago" }, label: "key.ago", group: "playback" },
  ...SKIPS.flatMap(([back, forward, seconds, label]): Binding[] => [
    { keys: [back], action: { do: "skip", seconds: -seconds }, label, group: "playback" },
    { keys: [forward], action: { do: "skip", seconds }, label, group: "playback" },
  ]),
  { keys: ["i"], action: { do: "mark", edge: "from" }, label: "key.mark", group: "playback" },
  { keys: ["o"], action: { do: "mark", edge: "to" }, label: "key.mark", group: "playback" },
  { keys: ["p"], action: { do: "activity", by: -1 }, label: "key.activity", group: "playback" },
  { keys: ["n"], action: { do: "activity", by: 1 }, label: "key.activity", group: "playback" },
  { keys: ["a"], action: { do: "busiest" }, label: "key.busiest", group: "playback" },
  { keys: ["v"], action: { do: "source" }, label: "key.source", group: "playback" },
  { keys: ["b"], action: { do: "live-all" }, label: "key.live-all", group: "playback" },
  { keys: ["e"], action: { do: "export" }, label: "key.export", group: "playback" },
  { keys: ["k"], action: { do: "incidents" }, label: "key.incidents", group: "page" },
  { keys: ["u"], action: { do: "events" }, label: "key.events", group: "page" },
  { keys: ["g"], action: { do: "place" }, label: "key.place", group: "page" },
  { keys: ["x"], action: { do: "map" }, label: "key.map", group: "page" },
  { keys: ["d"], action: { do: "health" }, label: "key.health", group: "page" },
  { keys: ["s"], action: { do: "screens" }, label: "key.screens", group: "page" },
  { keys: ["c"], action: { do: "panel" }, label: "key.panel", group: "page" },
  { keys: ["f"], action: { do: "fullscreen" }, label: "key.fullscreen", group: "page" },
  { keys: ["l"], action: { do: "language" }, label: "key.language", group: "page" },
  { keys: ["Escape"], action: { do: "escape" }, label: "key.escape", group: "page" },
  { keys: ["?"], action: { do: "help" }, label: "key.help", group: "page" },
];

const TABLE = new Map(BINDINGS.flatMap((binding) => binding.keys.map((key) => [key, binding.action] as const)));

export interface KeyPress {
  key: string;
  /** The key's place on the keyboard: with Shift a digit's `key` differs from country to country. */
  code?: string;
  shiftKey: boolean;
  ctrlKey: boolean;
  altKey: boolean;
  metaKey: boolean;
}

/** What a key press means on the wall; null for keys that are the browser's. */
export function actionFor(press: KeyPress): Action | null {
  if (press.altKey) return null;
  const key = press.key.length === 1 ? press.key.toLowerCase() : press.key;
  if (press.ctrlKey || press.metaKey) return TABLE.get(`Ctrl+${press.shiftKey ? "Shift+" : ""}${key}`) ?? null;
  if (press.shiftKey) {
    const digit = /^Digit(\d)$/.exec(press.code ?? "")?.[1];
    const shifted = TABLE.get(`Shift+${digit ?? key}`);
    if (shifted) return shifted;
  }
  return TABLE.get(key) ?? null;
}

const KEY_NAMES: Record<string, string> = {
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  Delete: "Del",
  Escape: "Esc",
};

/** A key as the help shows it; `space` is the translated name of the space bar. */
export function keyName(key: string, space: string): string {
  if (key === " ") return space;
  if (key.startsWith("Shift+")) return `⇧ ${keyName(key.slice("Shift+".length), space)}`;
  if (key.startsWith("Ctrl+")) return `Ctrl ${keyName(key.slice("Ctrl+".length), space)}`;
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
