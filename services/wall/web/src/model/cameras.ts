/** The camera list: order, search, counts. */

import type { CameraView, ProfileReport, Status } from "../api/generated.js";

/** A camera's state in the list; `unknown` before anything was observed. */
export type ShownStatus = Status | "unknown";

/** What a live tile of this page sees of a camera: it knows of a stall before the registry, and of its end. */
export type Seen = "unseen" | "fresh" | "stale";

/** By what the registry observes; a status that it gets anew does not compile before it has a row here. */
const SHOWN: Readonly<Record<ShownStatus, Readonly<Record<Seen, ShownStatus>>>> = {
  online: { unseen: "online", fresh: "online", stale: "offline" },
  degraded: { unseen: "degraded", fresh: "degraded", stale: "offline" },
  offline: { unseen: "offline", fresh: "connecting", stale: "offline" },
  connecting: { unseen: "connecting", fresh: "connecting", stale: "connecting" },
  disabled: { unseen: "disabled", fresh: "disabled", stale: "disabled" },
  unknown: { unseen: "unknown", fresh: "online", stale: "offline" },
};

/** The state of a camera wherever the page shows it: on its tile, in the list, in the counts. */
export function statusOf(camera: CameraView, seen: Seen = "unseen"): ShownStatus {
  return SHOWN[camera.enabled ? (camera.state?.status ?? "unknown") : "disabled"][seen];
}

/** By camera; those that no live tile shows are missing. */
export type SeenCameras = ReadonlyMap<string, Seen>;

/** By name as people sort it (camera 2 before camera 10), then by id. */
export function byName(cameras: readonly CameraView[], language: string): CameraView[] {
  const collator = new Intl.Collator(language, { numeric: true, sensitivity: "base" });
  return [...cameras].sort((a, b) => collator.compare(a.name, b.name) || collator.compare(a.id, b.id));
}

/** Each camera is in one of `working` and `faulty` at most, so that their counts can be added. */
export type StatusFilter = "all" | "working" | "faulty";

export function inFilter(camera: CameraView, filter: StatusFilter, seen: SeenCameras = new Map()): boolean {
  if (filter === "all") return true;
  const status = statusOf(camera, seen.get(camera.id));
  if (filter === "working") return status === "online";
  return status === "offline" || status === "degraded" || status === "connecting";
}

export function counts(cameras: readonly CameraView[], seen: SeenCameras = new Map()): Record<StatusFilter, number> {
  const count = (filter: StatusFilter) => cameras.filter((camera) => inFilter(camera, filter, seen)).length;
  return { all: cameras.length, working: count("working"), faulty: count("faulty") };
}

/** `1280×720 · 25 fps · 2.1 Mbit/s` of the main profile; empty before anything was observed. */
export function streamLine(camera: CameraView, language: string): string {
  const main = camera.state?.profiles.main;
  return main ? figuresLine(main, language) : "";
}

/** Size, frame rate and bit rate, as far as they are known; empty before the first picture. */
export function figuresLine(
  stream: Pick<ProfileReport, "width_px" | "height_px" | "frame_rate" | "bitrate_bps">,
  language: string,
): string {
  if (stream.width_px === 0) return "";
  const decimal = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
  const parts = [`${stream.width_px}×${stream.height_px}`];
  if (stream.frame_rate > 0) parts.push(`${Math.round(stream.frame_rate)} fps`);
  if (stream.bitrate_bps > 0) parts.push(`${decimal.format(stream.bitrate_bps / 1e6)} Mbit/s`);
  return parts.join(" · ");
}

/** The next id to focus in a list when an arrow key is pressed. */
export function step(ids: readonly string[], current: string | null, by: 1 | -1): string | null {
  if (ids.length === 0) return null;
  const at = current === null ? -1 : ids.indexOf(current);
  if (at < 0) return (by === 1 ? ids[0] : ids.at(-1)) ?? null;
  return ids[Math.min(Math.max(at + by, 0), ids.length - 1)] ?? null;
}
