/** The health board: every camera with what is the matter with it, the worst first. */

import type { CameraView, Reason } from "../api/generated.js";
import { type SeenCameras, type ShownStatus, statusOf } from "./cameras.js";

/** The worst first: what stands before is looked at before. */
export const BY_SEVERITY: readonly ShownStatus[] = [
  "offline",
  "degraded",
  "connecting",
  "unknown",
  "online",
  "disabled",
];
const FAULTY: ReadonlySet<ShownStatus> = new Set(["offline", "degraded", "connecting"]);

export const GROUPINGS = ["none", "tag", "site", "recorder"] as const;
export type Grouping = (typeof GROUPINGS)[number];

export interface HealthRow {
  camera: CameraView;
  status: ShownStatus;
  reason: Reason;
  /** Since when it is so, Unix ms; null where that is not known. */
  sinceMs: number | null;
  /** When its last picture came, Unix ms; null where that is not known. */
  pictureMs: number | null;
}

/** Cameras that have something in common; `name` is empty for those that lack it. */
export interface HealthGroup {
  name: string;
  rows: HealthRow[];
  worst: ShownStatus;
  faulty: number;
}

/** What the board shows one below the other. */
export type HealthLine = { kind: "group"; group: HealthGroup } | { kind: "camera"; row: HealthRow; group: string };

function healthRow(camera: CameraView, seen: SeenCameras): HealthRow {
  const { state } = camera;
  const status = statusOf(camera, seen.get(camera.id));
  const frames = Object.values(state?.profiles ?? {}).map(({ last_frame_us }) => last_frame_us);
  const last_us = Math.max(0, ...frames);
  return {
    camera,
    status,
    reason: camera.enabled ? (state?.reason ?? "none") : "disabled",
    sinceMs: state && state.since_us > 0 ? state.since_us / 1000 : null,
    pictureMs: last_us > 0 ? last_us / 1000 : null,
  };
}

export function severityOf(status: ShownStatus): number {
  return BY_SEVERITY.indexOf(status);
}

/** The worst first, and of those that are equally bad the one that is so for longest. */
export function healthRows(cameras: Iterable<CameraView>, seen: SeenCameras = new Map()): HealthRow[] {
  const rows = [...cameras].map((camera) => healthRow(camera, seen));
  const since = (row: HealthRow) => row.sinceMs ?? Number.POSITIVE_INFINITY;
  return rows.sort((a, b) => severityOf(a.status) - severityOf(b.status) || compare(since(a), since(b)));
}

function compare(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

/** How many cameras are in each state. */
export function statusCounts(rows: readonly HealthRow[]): ReadonlyMap<ShownStatus, number> {
  const counts = new Map<ShownStatus, number>();
  for (const { status } of rows) counts.set(status, (counts.get(status) ?? 0) + 1);
  return counts;
}

function namesOf({ site, tags, recorders }: CameraView, by: Grouping): readonly string[] {
  if (by === "site") return [site];
  const names = by === "tag" ? tags : recorders;
  return names.length > 0 ? names : [""];
}

/** A camera with several tags or recorders stands in the group of each. Groups with most faults come first. */
export function grouped(rows: readonly HealthRow[], by: Grouping): HealthGroup[] {
  const groups = new Map<string, HealthRow[]>();
  for (const row of rows) {
    for (const name of namesOf(row.camera, by)) {
      const group = groups.get(name);
      if (group) group.push(row);
      else groups.set(name, [row]);
    }
  }
  const found = [...groups].map(([name, members]): HealthGroup => {
    const faulty = members.filter(({ status }) => FAULTY.has(status)).length;
    return { name, rows: members, faulty, worst: members[0]?.status ?? "unknown" };
  });
  return found.sort(
    (a, b) => severityOf(a.worst) - severityOf(b.worst) || b.faulty - a.faulty || a.name.localeCompare(b.name),
  );
}

/** The board's lines: groups with their cameras, or the cameras alone. Folded groups show none. */
export function healthLines(
  rows: readonly HealthRow[],
  by: Grouping,
  folded: ReadonlySet<string> = new Set(),
): HealthLine[] {
  if (by === "none") return rows.map((row) => ({ kind: "camera", row, group: "" }));
  return grouped(rows, by).flatMap((group): HealthLine[] => {
    const cameras = folded.has(group.name) ? [] : group.rows;
    const lines = cameras.map((row): HealthLine => ({ kind: "camera", row, group: group.name }));
    return [{ kind: "group", group }, ...lines];
  });
}
