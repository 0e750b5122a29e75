/** The feed of events: how loud each is, what belongs together, and what is still to be seen by somebody. */

import type { CameraView, EventView } from "../api/generated.js";
import { search } from "./search.js";

/** fault: now; warn: when you can; quiet: good to know. */
export type Loudness = "fault" | "warn" | "quiet";
export type EventKindFilter = "all" | "camera" | "recording" | "incident";

const LOUDNESS: Readonly<Record<string, Loudness>> = {
  "camera.offline": "fault",
  "camera.degraded": "warn",
  "recording.gap": "warn",
  "recording.storage_low": "fault",
  "recording.archive_failed": "warn",
  "recording.archive_damaged": "fault",
  "worker.overloaded": "warn",
};

export function loudnessOf(type: string): Loudness {
  return LOUDNESS[type] ?? "quiet";
}

const ABOUT_RECORDERS: ReadonlySet<string> = new Set([
  "recording.storage_low",
  "recording.archive_failed",
  "recording.archive_recovered",
]);

/** A worker or an incident may be called as a camera is. */
export function isAboutCamera(type: string): boolean {
  return type.startsWith("camera.") || (type.startsWith("recording.") && !ABOUT_RECORDERS.has(type));
}

/** Whether somebody has to acknowledge it. */
export function waits(event: EventView): boolean {
  return event.seen === null && loudnessOf(event.type) !== "quiet";
}

/** The events about one camera, incident or worker: a camera that comes and goes is one row. */
export interface EventGroup {
  /** The newest event. */
  last: EventView;
  events: readonly EventView[];
  waiting: readonly EventView[];
}

/** Newest first, as the events are. */
export function grouped(events: readonly EventView[]): EventGroup[] {
  const groups = new Map<string, EventView[]>();
  for (const event of events) {
    const kind = isAboutCamera(event.type) ? "camera" : event.type.split(".", 1)[0];
    const key = `${kind} ${event.subject}`;
    const found = groups.get(key);
    if (found) found.push(event);
    else groups.set(key, [event]);
  }
  return [...groups.values()].map((members) => ({
    last: members[0] as EventView,
    events: members,
    waiting: members.filter(waits),
  }));
}

export interface FeedFilter {
  kind: EventKindFilter;
  waitingOnly: boolean;
  query: string;
}

export function filtered(
  groups: readonly EventGroup[],
  { kind, waitingOnly, query }: FeedFilter,
  cameras: ReadonlyMap<string, CameraView>,
): EventGroup[] {
  const asked = query.trim();
  const found = new Set(asked === "" ? [] : search([...cameras.values()], asked).map(({ id }) => id));
  const named = ({ type, subject, title }: EventView) =>
    (isAboutCamera(type) && found.has(subject)) || `${subject} ${title}`.toLowerCase().includes(asked.toLowerCase());
  return groups.filter(
    ({ last, waiting }) =>
      (kind === "all" || last.type.startsWith(`${kind}.`)) &&
      (!waitingOnly || waiting.length > 0) &&
      (asked === "" || named(last)),
  );
}

export interface EventMark {
  camera: string;
  atMs: number;
  type: string;
  loudness: "fault" | "warn";
}

/** What went wrong with cameras and their recordings, for the timeline. */
export function eventMarks(events: readonly EventView[]): EventMark[] {
  return events.flatMap(({ subject, at, type }) => {
    const loudness = isAboutCamera(type) ? loudnessOf(type) : "quiet";
    return loudness === "quiet" ? [] : [{ camera: subject, atMs: Date.parse(at), type, loudness }];
  });
}

/** The loudest of what waits; null where nothing does. */
export function loudest(events: readonly EventView[]): Loudness | null {
  const waiting = events.filter(waits).map(({ type }) => loudnessOf(type));
  if (waiting.includes("fault")) return "fault";
  return waiting.length > 0 ? "warn" : null;
}
