/** The models of `services/contracts/models.py` and `services/contracts/sessions.py` as they travel in JSON. */

export type ProfileName = "main" | "sub";
export type Role = "viewer" | "agency" | "operator" | "supervisor" | "admin";

export interface Me {
  name: string;
  role: Role;
  locale?: string | null;
  site?: string;
  version?: string;
  ice_servers?: RTCIceServer[];
}

export interface Location {
  latitude: number | null;
  longitude: number | null;
  address: string;
}

export interface Profile {
  url: string;
  transport?: "auto" | "tcp" | "udp";
  reader?: "auto" | "direct" | "libav";
}

export const REASONS = [
  "none",
  "starting",
  "bad-address",
  "unsupported-scheme",
  "unreachable",
  "refused",
  "timeout",
  "no-answer",
  "bad-answer",
  "unauthorized",
  "unsupported-auth",
  "not-found",
  "too-many-clients",
  "redirect-loop",
  "unsupported-transport",
  "rejected",
  "no-video",
  "unsupported-codec",
  "single-picture",
  "no-media",
  "no-keyframe",
  "bad-stream",
  "stalled",
  "closed",
  "frames-lost",
  "bad-timestamps",
  "low-rate",
  "overloaded",
  "reader-failed",
  "no-ingest",
  "disabled",
] as const;
export type Reason = (typeof REASONS)[number];

export type Status = "connecting" | "online" | "degraded" | "offline" | "disabled";

export interface ProfileReport {
  status: "idle" | "connecting" | "online" | "offline";
  reason: Reason;
  detail: string;
  since_us: number;
  codec: string;
  width_px: number;
  height_px: number;
  frame_rate: number;
  bitrate_bps: number;
  last_frame_us: number;
  reconnects: number;
}

export interface CameraState {
  camera: string;
  status: Status;
  reason: Reason;
  detail: string;
  since_us: number;
  profiles: Partial<Record<ProfileName | "audio", ProfileReport>>;
}

export interface Camera {
  id: string;
  site: string;
  name: string;
  enabled: boolean;
  record: boolean;
  audio: boolean;
  location: Location;
  tags: string[];
  profiles: Partial<Record<ProfileName, Profile>>;
  has_credentials: boolean;
  copies: number;
  retention: string | null;
  state: CameraState | null;
}

/** What the camera form sends: the given fields of a camera, and its user where that changes. */
export type CameraInput = Partial<Omit<Camera, "state" | "has_credentials">> & {
  credentials?: { username: string; password: string } | null;
};

export interface ImportRow {
  row: number;
  id: string;
  result: "added" | "updated" | "unchanged" | "refused";
  detail: string;
}

export interface ImportReport {
  rows: ImportRow[];
  added: number;
  updated: number;
  unchanged: number;
  refused: number;
  /** About the file as a whole. */
  notes: string[];
  dry_run: boolean;
}

export interface Incident {
  id: string;
  title: string;
  status: "open" | "closed";
  cameras: string[];
  from_us: number;
  to_us: number | null;
  notes: string;
  created_by: string;
  created_us: number;
  closed_us: number | null;
  release_us: number | null;
}

export type Tier = "full" | "keyframes";

/** As the server sends it: RFC 3339 times. `model/timeline.ts` turns it into milliseconds. */
export interface TimelineBody {
  camera: string;
  from: string;
  to: string;
  /** `archived`: only the archive still has it. */
  ranges: { from: string; to: string; tier: Tier; archived: boolean }[];
  gaps: { from: string; to: string; cause: string; detail: string }[];
  activity: { from: string; to: string; level: number }[];
}

export type Source = "live" | "recorded";

export interface Aim {
  type: "aim";
  slot: number;
  camera: string | null;
  profile: "auto" | ProfileName;
  source: Source;
}

export interface Size {
  type: "size";
  slot: number;
  width_px: number;
  height_px: number;
}

export type Step = "frame" | "-frame" | "keyframe" | "-keyframe";

/** What a session's slots show from its beginning, and how large. */
export interface Opening {
  slots: Aim[];
  sizes: Size[];
}

export interface ClockControl {
  type: "clock";
  action: "play" | "pause" | "seek" | "step";
  at_us?: number;
  rate?: number;
  step?: Step;
}

/** Of the recorded tiles the one whose pictures take longest from their arrival to the screen. */
export interface LatenessReport {
  type: "lateness";
  late_ms: number;
}

export interface SeenFrame {
  slot: number;
  rtp: number;
}

/** First frames of catch-ups that have come to the screen. */
export interface Seen {
  type: "seen";
  frames: SeenFrame[];
}

export interface Listen {
  type: "listen";
  slot: number | null;
}

export type Control = Aim | Size | ClockControl | LatenessReport | Seen | Listen;

/** A time of activity in front of a camera; the level is 0 to 1. */
export interface Busy {
  camera: string;
  from: string;
  to: string;
  level: number;
}

export type SlotState = "empty" | "opening" | "catching-up" | "live" | "waiting" | "playing" | "paused" | "gap";

export interface SlotNotice {
  type: "slot";
  slot: number;
  camera: string | null;
  source: Source;
  state: SlotState;
  profile: ProfileName | null;
  reason: Reason;
  detail: string;
  live_rtp: number | null;
  first_rtp?: number | null;
  limited: "none" | "sub" | "keyframes";
  limited_by?: "link" | "decoding";
  transcoded: boolean;
  codec: string;
  width_px: number;
  height_px: number;
}

export interface FrameMark {
  type: "mark";
  slot: number;
  rtp: number;
  capture_us: number;
  uncertainty_us: number;
  clock: "rtcp" | "arrival";
}

export interface ClockNotice {
  type: "clock";
  at_us: number;
  rate: number;
  playing: boolean;
}

export interface LinkNotice {
  type: "link";
  loss: number;
  rtt_ms: number | null;
  estimate_bps: number | null;
}

export interface DrainNotice {
  type: "drain";
}

export interface ErrorNotice {
  type: "error";
  code: string;
  message: string;
}

export type Notice = SlotNotice | FrameMark | ClockNotice | LinkNotice | DrainNotice | ErrorNotice;

export interface SessionAnswer {
  id: string;
  sdp: string;
  relay: string;
  slots: number;
  control: string;
}

export interface CoverageGap {
  from: string;
  to: string;
  cause: string;
  detail: string;
  open: boolean;
}

export interface CameraCoverage {
  camera: string;
  name: string;
  recording: boolean;
  percent: number;
  recorded_seconds: number;
  gaps: CoverageGap[];
  oldest_full: string | null;
  oldest_thinned: string | null;
  /** Of copies in the archive, whether the disks still have the footage or not. */
  oldest_archived_full: string | null;
  oldest_archived_thinned: string | null;
  bytes_per_day: number;
  forecast_full_days: number | null;
  forecast_keyframe_days: number | null;
  /** null: not all footage is copied to an archive. */
  forecast_archive_days: number | null;
}

export interface CoverageBody {
  from: string;
  to: string;
  /** False where a recorder did not answer. */
  complete: boolean;
  total: {
    cameras: number;
    percent: number;
    missing: { cause: string; seconds: number }[];
    oldest_full: string | null;
    oldest_thinned: string | null;
    oldest_archived_full: string | null;
    oldest_archived_thinned: string | null;
    bytes_per_day: number;
    forecast_full_days: number | null;
    forecast_keyframe_days: number | null;
    forecast_archive_days: number | null;
  };
  recorders: { recorder: string; used_bytes: number; capacity_bytes: number }[];
  cameras: CameraCoverage[];
}
