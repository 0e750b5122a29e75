/** The text over (or instead of) a tile's picture: each cause of a missing or frozen picture has its message here. */

import type { CameraState, CameraView, Reason, SlotNotice } from "../api/generated.js";
import type { Source } from "../api/types.js";
import { causeKey, type MessageKey } from "../i18n/index.js";
import type { IconName } from "../ui/icons.js";
import { type Seen, type ShownStatus, statusOf } from "./cameras.js";

/**
 * Whether the wall's session can carry pictures just now. `full`: no relay takes it. `no-path`: the server answers, but
 * its video does not get here. `no-webrtc`, `no-h264`: this browser cannot show any.
 */
export type LinkPhase = "connecting" | "open" | "lost" | "full" | "no-path" | "no-network" | "no-webrtc" | "no-h264";

export interface TileInput {
  camera: string | null;
  source: Source;
  /** The catalogue's entry; undefined where there is none (any more). */
  entry: CameraView | undefined;
  /** Whether the catalogue was read at all. */
  catalogueKnown: boolean;
  link: { phase: LinkPhase; sinceMs: number };
  /** The slot's last notice; null before the first. */
  notice: SlotNotice | null;
  noticeMs: number;
  /** A picture of this camera is on the screen, moving or not. */
  hasPicture: boolean;
  /** When the last fresh picture came, where the one on the screen is not. */
  staleSinceMs: number | null;
}

export interface TileMessage {
  icon: IconName;
  title: MessageKey;
  /** A line under the title. */
  reason: MessageKey | null;
  /** For people who read logs; as the server says it. */
  detail: string;
  sinceMs: number | null;
  /** When the picture on the screen was fresh last; null where there is none, or it is. */
  pictureMs: number | null;
  /** When the camera is tried next, while it does not answer. */
  retryMs: number | null;
  /** `fault`: something is broken; `wait`: it will come; `idle`: as it should be. */
  tone: "fault" | "wait" | "idle";
}

const NONE = { reason: null, detail: "", sinceMs: null, pictureMs: null, retryMs: null } as const;

export function reasonKey(reason: Reason): MessageKey | null {
  return reason === "none" ? null : `reason.${reason}`;
}

/** The message over a tile; null where its picture needs none. */
export function tileMessage(input: TileInput): TileMessage | null {
  const message = messageOf(input);
  if (!message || !input.hasPicture) return message;
  return { ...message, pictureMs: input.staleSinceMs };
}

function messageOf(input: TileInput): TileMessage | null {
  const { camera, entry, link, hasPicture } = input;
  if (camera === null) return { ...NONE, icon: "plus", title: "tile.empty", tone: "idle" };
  if (!entry && input.catalogueKnown) {
    return { ...NONE, icon: "unknown", title: "tile.unknown", reason: "tile.unknown.hint", tone: "fault" };
  }
  if (link.phase === "no-webrtc" || link.phase === "no-h264") {
    return { ...NONE, icon: "unknown", title: "tile.browser", reason: `tile.${link.phase}`, tone: "fault" };
  }
  if (link.phase === "lost" || link.phase === "full" || link.phase === "no-path" || link.phase === "no-network") {
    return { ...NONE, icon: "link-lost", title: `tile.${link.phase}`, sinceMs: link.sinceMs, tone: "fault" };
  }
  // What a camera recorded before it was switched off can still be seen.
  if (entry && !entry.enabled && input.source === "live")
    return { ...NONE, icon: "disabled", title: "tile.disabled", tone: "idle" };
  if (link.phase === "connecting") return hasPicture ? null : connecting("tile.connecting");
  const notice = input.notice?.camera === camera && input.notice.source === input.source ? input.notice : null;
  if (!notice || notice.state === "empty") return hasPicture ? null : connecting("tile.opening");
  if (notice.state === "gap") {
    return { ...NONE, icon: "gap", title: "tile.gap", reason: causeKey(notice.detail), tone: "idle" };
  }
  if (notice.state === "waiting") return waiting(input, notice);
  if (input.staleSinceMs !== null && hasPicture) {
    const state = entry?.state?.status === "offline" ? entry.state : null;
    return {
      ...NONE,
      icon: "frozen",
      title: "tile.frozen",
      reason: state ? reasonKey(state.reason) : null,
      sinceMs: input.staleSinceMs,
      retryMs: state && input.source === "live" ? retryOf(state) : null,
      tone: "fault",
    };
  }
  if (hasPicture) return null;
  return connecting("tile.opening");
}

function connecting(title: MessageKey): TileMessage {
  return { ...NONE, icon: "wait", title, tone: "wait" };
}

function waiting(input: TileInput, notice: SlotNotice): TileMessage {
  const state = input.entry?.state;
  if (input.source === "recorded" && notice.reason === "unsupported-codec") {
    return {
      ...NONE,
      icon: "offline",
      title: "tile.recorded-codec",
      reason: "tile.recorded-codec.hint",
      detail: notice.codec.toUpperCase(),
      tone: "fault",
    };
  }
  if (input.source === "recorded") {
    const reason = reasonKey(notice.reason);
    return { ...NONE, icon: "wait", title: "tile.recorded-waiting", reason, detail: notice.detail, tone: "wait" };
  }
  const connectingNow = notice.reason === "starting" || (notice.reason === "none" && state?.status === "connecting");
  if (connectingNow) {
    return { ...NONE, icon: "wait", title: "tile.camera-connecting", sinceMs: input.noticeMs, tone: "wait" };
  }
  const cameraDown = state && (state.status === "offline" || state.status === "disabled");
  const own = notice.reason !== "none" ? notice.reason : cameraDown ? state.reason : "none";
  return {
    ...NONE,
    icon: "offline",
    title: "tile.offline",
    reason: reasonKey(own),
    detail: notice.detail || (cameraDown ? state.detail : ""),
    sinceMs: cameraDown && state.since_us > 0 ? state.since_us / 1000 : input.noticeMs,
    retryMs: cameraDown ? retryOf(state) : null,
    tone: "fault",
  };
}

/** When ingest opens the camera next. */
function retryOf(state: CameraState): number | null {
  const at_us = (state.profiles.main ?? Object.values(state.profiles)[0])?.next_attempt_us ?? 0;
  return at_us > 0 ? at_us / 1000 : null;
}

/** What the tile sees of its camera; null where it is not live, or its own session is in the way. */
export function seenOf(input: TileInput): Seen | null {
  if (input.source !== "live" || input.link.phase !== "open" || !input.entry) return null;
  const message = tileMessage(input);
  if (message === null) return input.hasPicture ? "fresh" : null;
  if (message.reason === "reason.unsupported-codec" || message.reason === "reason.overloaded") return null;
  return message.title === "tile.frozen" || message.title === "tile.offline" ? "stale" : null;
}

/** The mark beside the name: never a better one than what the tile says, and the same as in the list where both know. */
export function tileMark(input: TileInput): ShownStatus {
  const seen = seenOf(input);
  const status = input.entry ? statusOf(input.entry, seen ?? "unseen") : "unknown";
  if (seen !== null || (status !== "online" && status !== "degraded")) return status;
  switch (tileMessage(input)?.tone) {
    case "wait":
      return "connecting";
    case "fault":
    case "idle":
      return "unknown";
    default:
      return status;
  }
}

export interface Badge {
  key: MessageKey;
  tone: "note" | "warn";
  /** Shown on hovering. */
  reason: MessageKey | null;
}

/** Badges beside the name: how the picture differs from what the camera sends. */
export function tileBadges(input: Pick<TileInput, "camera" | "entry" | "notice">): Badge[] {
  const { entry, camera } = input;
  const notice = input.notice?.camera === camera ? input.notice : null;
  const badges: Badge[] = [];
  if (entry?.state?.status === "degraded") {
    badges.push({ key: "badge.degraded", tone: "warn", reason: reasonKey(entry.state.reason) });
  }
  if (notice?.limited === "sub") {
    const reason = notice.limited_by === "site" ? "badge.site-line" : "badge.slow-link";
    badges.push({ key: "badge.limited-sub", tone: "warn", reason });
  }
  if (notice?.limited === "keyframes") {
    const reason = notice.limited_by === "decoding" ? "badge.slow-decoding" : "badge.slow-link";
    badges.push({ key: "badge.limited-keyframes", tone: "warn", reason });
  }
  if (notice?.damaged) badges.push({ key: "badge.damaged", tone: "warn", reason: "badge.damaged.hint" });
  if (notice?.transcoded) badges.push({ key: "badge.transcoded", tone: "note", reason: "badge.foreign-codec" });
  return badges;
}
