// Written by `make docs` from the code. Change the code instead.

/** The fields of an account that change. */
export interface AccountChange {
  role?: Role | null;
  locale?: "id" | "en" | null;
  disabled?: boolean | null;
  /** null takes the second factor away, for who has lost it. */
  totp?: null;
  password?: string | null;
}

/** An account. */
export interface AccountView {
  name: string;
  role: Role;
  locale: "id" | "en" | null;
  /** It stays, and nobody can sign in to it. */
  disabled: boolean;
  has_password: boolean;
  /** It has a second factor. */
  totp: boolean;
  /** file: the accounts file, which is changed on the machine. */
  source: "registry" | "file";
  /** How many browsers, programs and tokens are signed in. */
  signed_in: number;
}

/** All accounts, by name. */
export interface AccountsView {
  accounts: AccountView[];
}

/** Events that the asker has seen. */
export interface AcknowledgeOrder {
  events: AcknowledgedEvent[];
}

/** An event to be acknowledged, by its number in the stream. */
export interface AcknowledgedEvent {
  event: number;
  at_us: number;
  subject: string;
}

/** How much moved. Known about a minute after the footage: it is measured in the compressed stream. */
export interface ActivityView {
  from: string;
  to: string;
  /** Measured by what this camera usually sees, in twentieths. */
  level: number;
}

/** Point a slot at a camera; no camera empties it. */
export interface Aim {
  type: "aim";
  slot: number;
  camera?: string | null;
  profile?: "auto" | "main" | "sub";
  source?: "live" | "recorded";
}

/** A grid and the cameras in its tiles. */
export interface ArrangementInput {
  grid: "1" | "2" | "3" | "4" | "6" | "8" | "9" | "10" | "12" | "13" | "16" | "25" | "36" | "49" | "64";
  tiles?: LayoutTileInput[];
  hotspot?: number | null;
}

/** A grid and the cameras in its tiles. */
export interface Arrangement {
  grid: "1" | "2" | "3" | "4" | "6" | "8" | "9" | "10" | "12" | "13" | "16" | "25" | "36" | "49" | "64";
  tiles: LayoutTile[];
  hotspot: number | null;
}

/** Who sees something that was saved. */
export const AUDIENCE_VALUES = [
  "personal",
  "shared",
  "role",
] as const;
export type Audience = (typeof AUDIENCE_VALUES)[number];

/** One thing that somebody did. */
export interface AuditEntry {
  at: string;
  action: string;
  person: string;
  role: string;
  address: string;
  /** Id of the sign-in. */
  session: string;
  site: string;
  /** The camera or incident; or wall. */
  target: string;
  /** Of a view: when it began. */
  since: string;
  /** Of a view: when it ended; empty: it goes on, or its relay was lost. */
  until: string;
  detail: Record<string, string>;
}

/** Entries, newest first. */
export interface AuditView {
  entries: AuditEntry[];
  /** Whether these are all that match. */
  complete: boolean;
}

/** The busiest minutes. */
export interface BusiestView {
  minutes: BusyView[];
}

/** A time of activity in front of a camera. */
export interface BusyView {
  camera: string;
  from: string;
  to: string;
  /** How busy, measured by what this camera usually sees. */
  level: number;
}

/** One camera, with what the catalogue says. */
export interface CameraCoverageView {
  /** The oldest footage that is there, and is whole. */
  oldest_full: string | null;
  /** The oldest of which single pictures are there. */
  oldest_thinned: string | null;
  /** The oldest whole footage of which the archive has a copy, whether the disks have it or not. */
  oldest_archived_full: string | null;
  /** The oldest of which the archive has single pictures. */
  oldest_archived_thinned: string | null;
  /** What a day of whole footage takes. */
  bytes_per_day: number;
  /** Days of whole footage that the present disks and bitrates give. */
  forecast_full_days: number | null;
  /** Days of footage that the disks give, thinned footage included. */
  forecast_keyframe_days: number | null;
  /** Days that copies in the archive are kept; null: not all footage is copied there. */
  forecast_archive_days: number | null;
  camera: string;
  name: string;
  /** Whether it is to be recorded at all; if not, the total counts it only where it was asked for. */
  recording: boolean;
  /** The catalogue does not have it any more. */
  removed: boolean;
  percent: number;
  recorded_seconds: number;
  /** Of the recorded time: how long pictures last that are damaged. */
  damaged_seconds: number;
  /** Without footage, but for what was not to be recorded or not kept. */
  missing_seconds: number;
  /** Of the missing time: lost by this mesh, or nobody knows by whom. */
  lost_by_mesh_seconds: number;
  /** Of the missing time: the camera, or the way to it, failed. */
  lost_by_camera_seconds: number;
  /** The longest 200, in order of time. */
  gaps: GapView[];
}

/** The footage of one camera of one site. */
export interface CameraHistoryView {
  camera: string;
  site: string;
  /** As in the catalogue; of a removed camera its id. */
  name: string;
  /** The catalogue has no such camera of this site any more. */
  removed: boolean;
  from: string;
  to: string;
  /** On disks; footage that only the archive has is not counted. */
  size_bytes: number;
}

/** A camera to be added. URLs may carry `user:password@`: it is split off into `credentials`. */
export interface CameraInput {
  id?: string | null;
  site?: string | null;
  name: string;
  enabled?: boolean;
  record?: boolean;
  audio?: boolean;
  location?: LocationInput;
  tags?: string[];
  profiles: Partial<Record<"main" | "sub", ProfileInput>>;
  credentials?: Credentials | null;
  copies?: number;
  priority?: number;
  pin?: string;
  retention?: string | null;
  privacy_masks?: PrivacyMask[];
  unmasked_roles?: Role[];
}

/** The fields of a camera that change. `location` and `profiles` are replaced whole. `credentials: null` forgets them, `retention: null` goes back to the default; no other field takes null. */
export interface CameraPatch {
  site?: string | null;
  name?: string | null;
  enabled?: boolean | null;
  record?: boolean | null;
  audio?: boolean | null;
  location?: LocationInput | null;
  tags?: string[] | null;
  profiles?: Partial<Record<"main" | "sub", ProfileInput>> | null;
  credentials?: Credentials | null;
  copies?: number | null;
  priority?: number | null;
  pin?: string | null;
  retention?: string | null;
  privacy_masks?: PrivacyMask[] | null;
  unmasked_roles?: Role[] | null;
}

/** Observed state, after hysteresis; kept by the registry. */
export interface CameraState {
  camera: string;
  site: string;
  status: Status;
  reason: Reason;
  detail: string;
  since_us: number;
  profiles: Record<string, ProfileReport>;
  worker: string;
  announced: Status | null;
}

/** A camera with its observed state. */
export interface CameraView {
  id: string;
  site: string;
  name: string;
  enabled: boolean;
  record: boolean;
  audio: boolean;
  location: Location;
  tags: string[];
  profiles: Partial<Record<"main" | "sub", Profile>>;
  has_credentials: boolean;
  copies: number;
  priority: number;
  pin: string;
  retention: string | null;
  privacy_masks: PrivacyMask[];
  unmasked_roles: Role[];
  owner_id: string | null;
  state: CameraState | null;
  recorders: string[];
}

/** A page of the catalogue. */
export interface CamerasView {
  cameras: CameraView[];
  next: string | null;
  total: number;
  counts: Record<string, number>;
}

/** Steer the session's clock, and with it every recorded slot. */
export interface ClockControl {
  type: "clock";
  action: "play" | "pause" | "seek" | "step";
  at_us?: number | null;
  rate?: number;
  step?: "frame" | "-frame" | "keyframe" | "-keyframe";
  number?: number;
}

/** The state of the session's clock. Sent on each change, and once a second while it runs. */
export interface ClockNotice {
  type: "clock";
  at_us: number;
  rate: number;
  playing: boolean;
  number: number;
}

/** All cameras that are to be recorded. Of oldest footage and forecasts the least of any camera. */
export interface CoverageTotalView {
  /** The oldest footage that is there, and is whole. */
  oldest_full: string | null;
  /** The oldest of which single pictures are there. */
  oldest_thinned: string | null;
  /** The oldest whole footage of which the archive has a copy, whether the disks have it or not. */
  oldest_archived_full: string | null;
  /** The oldest of which the archive has single pictures. */
  oldest_archived_thinned: string | null;
  /** What a day of whole footage takes. */
  bytes_per_day: number;
  /** Days of whole footage that the present disks and bitrates give. */
  forecast_full_days: number | null;
  /** Days of footage that the disks give, thinned footage included. */
  forecast_keyframe_days: number | null;
  /** Days that copies in the archive are kept; null: not all footage is copied there. */
  forecast_archive_days: number | null;
  cameras: number;
  percent: number;
  damaged_seconds: number;
  /** The largest share first. */
  missing: MissingTimeView[];
}

/** The statement. */
export interface CoverageView {
  from: string;
  to: string;
  /** False where a recorder did not answer: there may be more footage. */
  complete: boolean;
  total: CoverageTotalView;
  recorders: RecorderDisksView[];
  cameras: CameraCoverageView[];
}

/** A camera's user. Read by ingest alone; never given back by the API, a log or an event. */
export interface Credentials {
  username: string;
  password: string;
}

/** Recorded, with pictures that are marked as damaged: something of them was lost on the way from the camera. */
export interface DamageView {
  from: string;
  to: string;
  /** How long the damaged pictures in it last. */
  damaged_seconds: number;
}

/** The digest of all entries since the one before, signed by a recorder. */
export interface DigestEntry {
  at: string;
  day: string;
  entries: number;
  sha256: string;
  previous: string;
  recorder: string;
  key: string;
  signature: string;
  /** Whether the signature is that key's over this digest. */
  signed: boolean;
  /** Whether the entries are still those: none is altered, added or missing. */
  matches: boolean;
}

/** Digests, oldest first. */
export interface DigestsView {
  digests: DigestEntry[];
}

/** This relay is going: connect anew (the front will place the session elsewhere). */
export interface DrainNotice {
  type: "drain";
}

/** A control message was refused. */
export interface ErrorNotice {
  type: "error";
  code: string;
  message: string;
}

/** An event as the feed shows it. */
export interface EventView {
  /** Its number in the stream. */
  id: number;
  type: string;
  site: string;
  at: string;
  /** The camera, incident, recorder or worker that it is about. */
  subject: string;
  /** Of an incident. */
  title: string;
  /** Why a camera is offline or degraded, or nothing was recorded; empty: not said. */
  reason: string;
  detail: string;
  actor: string;
  /** null: nobody has acknowledged it. */
  seen: SeenView | null;
}

/** A finished file. */
export interface ExportFileView {
  name: string;
  media_type: string;
  size_bytes: number;
  sha256: string;
  url: string;
}

/** An export to be made. */
export interface ExportRequest {
  /** clip: to look at, one camera as MP4, several as a ZIP. bundle: evidence. */
  kind: "clip" | "bundle";
  cameras: string[];
  /** RFC 3339 with its offset, as in 2026-03-01T07:00:00Z. */
  from: string;
  /** RFC 3339 with its offset, as in 2026-03-01T07:00:00Z. */
  to: string;
  /** Which stream; of a bundle main. */
  profile?: "main" | "sub";
  /** Stands in the audit event, and in a bundle, which needs one. */
  reason?: string;
  /** The incident that it is about. */
  incident?: string | null;
  /** Whose cameras, where an id had another owner before. */
  site?: string | null;
  /** Writes the camera's name and the time into the pictures of a clip, which are encoded anew for that; the file and the job say so. */
  burn_in?: boolean;
  /** Chosen by the asker, anew for each export. Asked again it is the job of the first. */
  request_id?: string | null;
}

/** How far a job is. */
export const EXPORT_STATUS_VALUES = [
  "waiting",
  "running",
  "done",
  "failed",
  "cancelled",
] as const;
export type ExportStatus = (typeof EXPORT_STATUS_VALUES)[number];

/** One export. */
export interface ExportView {
  id: string;
  kind: "clip" | "bundle";
  status: ExportStatus;
  progress: number;
  /** Why it waits or failed: as the code of a problem; empty: it is as it should be. */
  code: string;
  /** The same for a person, or what is not in the file. */
  detail: string;
  /** Cameras whose footage is not in a file that has others'. */
  left_out: LeftOutView[];
  cameras: ExportedCameraView[];
  profile: "main" | "sub";
  from: string;
  to: string;
  reason: string;
  incident: string;
  burn_in: boolean;
  /** What was done to the pictures; empty: they are what was recorded. */
  conversion: string;
  /** Some of it was made up for a demo: no camera took these pictures then. */
  made_up: boolean;
  actor: string;
  created: string;
  finished: string | null;
  /** File and job are forgotten then. */
  expires: string;
  /** null: there is none, or not yet. */
  file?: ExportFileView | null;
}

/** A camera of an export. */
export interface ExportedCameraView {
  camera: string;
  site: string;
  name: string;
}

/** Exports, newest first. */
export interface ExportsView {
  exports: ExportView[];
}

/** One field that cannot be accepted. */
export interface FieldProblem {
  /** Its path, as in profiles.main.url; empty for the whole. */
  field: string;
  message: string;
}

/** Ties a slot's RTP timestamps to capture time: `capture_us` was sent as `rtp`. */
export interface FrameMark {
  type: "mark";
  slot: number;
  rtp: number;
  capture_us: number;
  uncertainty_us: number;
  clock: "rtcp" | "arrival";
}

/** No footage, and why. */
export interface GapView {
  from: string;
  to: string;
  cause: string;
  detail: string;
  /** It still goes on; 'to' is then the end of what was asked for, or now. */
  open: boolean;
}

/** A grant. */
export interface GrantView {
  id: string;
  role: Role | null;
  account: string | null;
  /** Empty: the role's own grant, taken away. */
  rights: Right[];
  site: string | null;
  tag: string | null;
  camera: string | null;
  purpose: string;
  from: string | null;
  until: string | null;
  /** Empty: the role's own. */
  granted_by: string;
  granted: string;
}

/** All grants. */
export interface GrantsView {
  grants: GrantView[];
}

/** Cameras with footage, by id and site. */
export interface HistoryView {
  cameras: CameraHistoryView[];
}

/** An `RTCIceServer` of WebRTC. */
export interface IceServer {
  urls: string[];
  username: string | null;
  credential: string | null;
}

/** One import. */
export interface ImportJob {
  id: string;
  status: "waiting" | "running" | "done" | "failed" | "cancelled";
  dry_run: boolean;
  actor: string;
  created_us: number;
  finished_us: number | null;
  expires_us: number;
  rows: number;
  done: number;
  added: number;
  updated: number;
  unchanged: number;
  refused: number;
  notes: string[];
  ignored: string[];
  detail: string;
}

/** The result of each row. */
export interface ImportReport {
  rows: ImportRow[];
  added: number;
  updated: number;
  unchanged: number;
  refused: number;
  notes: string[];
  ignored: string[];
  dry_run: boolean;
}

/** The result of one row. */
export interface ImportRow {
  row: number;
  id: string;
  result: "added" | "updated" | "unchanged" | "refused";
  detail: string;
  code: "" | "cells" | "no-object" | "no-camera" | "same-camera" | "password-alone" | "no-boolean" | "no-degrees" | "invalid" | "conflict" | "unavailable";
  column: string;
}

/** Rows in the order of the file. */
export interface ImportRowsView {
  rows: ImportRow[];
  next: number | null;
}

/** Newest first. */
export interface ImportsList {
  imports: ImportJob[];
}

/** A case. The footage of its cameras and time is held while it is open, and for the grace period after. */
export interface Incident {
  id: string;
  title: string;
  status: IncidentStatus;
  cameras: string[];
  from_us: number;
  to_us: number | null;
  notes: string;
  hold_days: number | null;
  remarks: Remark[];
  history: IncidentStep[];
  created_by: string;
  created_us: number;
  closed_us: number | null;
  release_us: number | null;
  released: boolean;
}

/** An incident to be opened. */
export interface IncidentInput {
  /** Chosen by the asker, anew for each thing. Asked again with the same one nothing more is made: the answer is what the first one made. */
  request_id?: string | null;
  title: string;
  cameras: string[];
  from_us: number;
  to_us?: number | null;
  notes?: string;
  hold_days?: number | null;
}

/** The fields of an incident that change. `to_us: null` means that it goes on, `hold_days: null` that the registry's setting says how long it is held. To shorten the hold takes a supervisor, as closing does. */
export interface IncidentPatch {
  title?: string | null;
  cameras?: string[] | null;
  from_us?: number | null;
  to_us?: number | null;
  notes?: string | null;
  hold_days?: number | null;
}

/** An incident's life. */
export const INCIDENT_STATUS_VALUES = [
  "open",
  "closed",
] as const;
export type IncidentStatus = (typeof INCIDENT_STATUS_VALUES)[number];

/** What was done with an incident, by whom and when. */
export interface IncidentStep {
  at_us: number;
  by: string;
  action: "opened" | "updated" | "remarked" | "exported" | "closed" | "reopened" | "released";
  fields: string[];
  request_id: string | null;
}

/** Incidents, newest first. */
export interface IncidentsView {
  incidents: Incident[];
  /** How long an incident without days of its own is held after it was closed. */
  hold_days?: number | null;
}

/** How far the page's decoders are behind, once a second while anything recorded plays: of all recorded tiles the longest time from a picture's arrival to the screen. They are sent keyframes alone until it can keep up again. */
export interface Lateness {
  type: "lateness";
  late_ms: number;
}

/** A saved wall. */
export interface Layout {
  id: string;
  name: string;
  audience: Audience;
  role: Role | null;
  owner: string;
  changed_us: number;
  key: number | null;
  grid: "1" | "2" | "3" | "4" | "6" | "8" | "9" | "10" | "12" | "13" | "16" | "25" | "36" | "49" | "64";
  tiles: LayoutTile[];
  hotspot: number | null;
}

/** A wall to be saved. */
export interface LayoutInput {
  /** Chosen by the asker, anew for each thing. Asked again with the same one nothing more is made: the answer is what the first one made. */
  request_id?: string | null;
  name: string;
  audience?: Audience;
  role?: Role | null;
  key?: number | null;
  grid: "1" | "2" | "3" | "4" | "6" | "8" | "9" | "10" | "12" | "13" | "16" | "25" | "36" | "49" | "64";
  tiles?: LayoutTileInput[];
  hotspot?: number | null;
}

/** The fields of a saved wall that change. */
export interface LayoutPatch {
  name?: string | null;
  audience?: Audience | null;
  role?: Role | null;
  key?: number | null;
  grid?: "1" | "2" | "3" | "4" | "6" | "8" | "9" | "10" | "12" | "13" | "16" | "25" | "36" | "49" | "64" | null;
  tiles?: LayoutTileInput[] | null;
  hotspot?: number | null;
}

/** One tile of a saved wall. */
export interface LayoutTileInput {
  camera?: string | null;
  columns?: number | null;
  rows?: number | null;
}

/** One tile of a saved wall. */
export interface LayoutTile {
  camera: string | null;
  columns: number | null;
  rows: number | null;
}

/** The saved walls that one may see, by name. */
export interface LayoutsView {
  layouts: Layout[];
  last: string | null;
}

/** A camera whose footage is not in the file. */
export interface LeftOutView {
  camera: string;
  /** no-footage, not-granted, site-away, or the code of another problem. */
  code: string;
  /** The same for a person. */
  detail: string;
}

/** The relay's view of the link, every 2 s. */
export interface LinkNotice {
  type: "link";
  loss: number;
  rtt_ms: number | null;
  estimate_bps: number | null;
}

/** Hear one slot's camera, or none. */
export interface Listen {
  type: "listen";
  slot?: number | null;
}

/** Where a camera stands. */
export interface LocationInput {
  latitude?: number | null;
  longitude?: number | null;
  address?: string;
  bearing?: number | null;
}

/** Where a camera stands. */
export interface Location {
  latitude: number | null;
  longitude: number | null;
  address: string;
  bearing: number | null;
}

/** The signed-in person and the site's facts. */
export interface Me {
  name: string;
  role: Role;
  locale: string | null;
  site: string;
  time_zone: string;
  session: string;
  rights: Right[];
  password_changeable: boolean;
  totp: boolean;
  by_provider: boolean;
  version: string;
  ice_servers: IceServer[];
}

/** Time without footage, of all cameras together. */
export interface MissingTimeView {
  cause: string;
  seconds: number;
}

/** An account to be made. */
export interface NewAccount {
  name: string;
  role: Role;
  locale?: "id" | "en" | null;
  password?: string | null;
}

/** A grant to be given to a role or to an account; of cameras that match all of site, tag and camera. */
export interface NewGrant {
  role?: Role | null;
  account?: string | null;
  rights: Right[];
  site?: string | null;
  tag?: string | null;
  camera?: string | null;
  /** Why: it is shown with the grant. */
  purpose: string;
  from?: string | null;
  until?: string | null;
  /** Chosen by the asker, anew for each grant. Asked again it is the one of the first. */
  request_id?: string | null;
}

/** A token to be made. */
export interface NewToken {
  /** Which program it is for. */
  name: string;
  /** What it is for, as far as the account has it; default: all that the account may. */
  rights?: Right[] | null;
  /** At most 366 days from now. */
  expires: string;
}

/** A token that was made just now. */
export interface NewTokenView {
  id: string;
  /** For 'Authorization: Bearer …'. It is shown this once. */
  token: string;
}

/** The nearest activity of any of the cameras. */
export interface NextActivityView {
  /** null: there is none. */
  activity: BusyView | null;
}

/** One's own password, and the next one. */
export interface PasswordRequest {
  old: string;
  new: string;
}

/** A rectangle of a camera's pictures that not everybody may see, in parts of their width and height. `x` and `y` are those of its upper left corner. */
export interface PrivacyMask {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** What to look at; URLs may carry `user:password@`, as a camera's may. */
export interface ProbeInput {
  /** `main`, and `sub` where its address is known. */
  profiles: Partial<Record<"main" | "sub", ProfileInput>>;
  credentials?: Credentials | null;
  /** The camera that is being changed: its kept credentials serve where none are given. */
  camera?: string | null;
}

/** What was found. */
export interface ProbeView {
  main: ProbedStreamView;
  sub?: ProbedStreamView | null;
}

/** One address and what it offers. */
export interface ProbedStreamView {
  url: string;
  reason: Reason;
  detail: string;
  codec: string;
  width_px: number;
  height_px: number;
  frame_rate: number;
  bitrate_bps: number;
  audio_codec: string;
  still: string;
}

/** Problem details (RFC 9457). Match on `code`; `detail` is for people. */
export interface Problem {
  type?: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  errors?: FieldProblem[] | null;
}

/** One stream of a camera. */
export interface ProfileInput {
  url: string;
  transport?: "auto" | "tcp" | "udp";
  reader?: "auto" | "direct" | "libav";
}

/** One stream of a camera. */
export interface Profile {
  url: string;
  transport: "auto" | "tcp" | "udp";
  reader: "auto" | "direct" | "libav";
}

/** The report of ingest on one profile. */
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
  keyframe_interval_seconds: number;
  frames: number;
  reconnects: number;
  bad_timestamps: number;
  frames_lost: number;
  frames_damaged: number;
  reader: "" | "direct" | "libav";
  reader_detail: string;
  transport: "" | "tcp" | "udp";
  certificate: "" | "verified" | "unverified";
  next_attempt_us: number;
  stalls_after_seconds: number;
  clock_offset_us: number;
  clock_drift_ppm: number;
  clock_uncertainty_us: number;
}

/** Footage without a hole. */
export interface RangeView {
  from: string;
  to: string;
  /** full, or keyframes (thinned by the retention ladder). */
  tier: "full" | "keyframes";
  /** The disks have it no more; it is read from the archive. */
  archived: boolean;
}

/** Why a camera or a profile is not simply online. Stable codes: the interface translates them. */
export const REASON_VALUES = [
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
  "bad-certificate",
  "too-many-clients",
  "redirect-loop",
  "unsupported-transport",
  "rejected",
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
  "unassigned",
  "site-away",
  "not-granted",
  "unrecognized",
  "disabled",
] as const;
export type Reason = (typeof REASON_VALUES)[number];

/** Events, newest first. */
export interface RecentView {
  events: EventView[];
}

/** One recorder's disks. */
export interface RecorderDisksView {
  recorder: string;
  used_bytes: number;
  /** What recordings may take: all free space above the floor, or the budget. */
  capacity_bytes: number;
}

/** Codes for the day on which the phone is lost; shown this once, each counts once. */
export interface RecoveryCodes {
  recovery_codes: string[];
}

/** What a person wrote about an incident. Nobody changes it afterwards. */
export interface Remark {
  at_us: number;
  by: string;
  text: string;
}

/** A remark to be added to an incident. */
export interface RemarkInput {
  /** Chosen by the asker, anew for each thing. Asked again with the same one nothing more is made: the answer is what the first one made. */
  request_id?: string | null;
  text: string;
}

/** What may be done with a camera. Grants give rights (`services.contracts.rights`). */
export const RIGHT_VALUES = [
  "live",
  "playback",
  "snapshot",
  "clip",
  "evidence",
  "ptz",
  "catalogue",
  "incidents",
] as const;
export type Right = (typeof RIGHT_VALUES)[number];

/** The role of a person or a program; `_INCLUDED` says which roles include others. */
export const ROLE_VALUES = [
  "viewer",
  "agency",
  "operator",
  "supervisor",
  "admin",
] as const;
export type Role = (typeof ROLE_VALUES)[number];

/** A registered screen, and what it is to show. It is kept, so that a screen comes back as it was. */
export interface Screen {
  id: string;
  wall: Arrangement | null;
  tour: string;
  stops: ScreenStop[];
  sent_us: number;
  sent_by: string;
  seen_us: number;
}

/** One message of a screen's stream. */
export interface ScreenNotice {
  screen: Screen;
  version: string;
  now_us: number;
}

/** `ScreenOrder` without the screen, which the path names. */
export interface ScreenOrderInput {
  wall?: ArrangementInput | null;
  tour?: string | null;
}

/** One stop of the tour that a screen runs, with its saved wall put in. */
export interface ScreenStop {
  wall: Arrangement;
  dwell_seconds: number;
}

/** A screen, and whether its page is open. */
export interface ScreenView {
  id: string;
  wall: Arrangement | null;
  tour: string;
  stops: ScreenStop[];
  sent_us: number;
  sent_by: string;
  seen_us: number;
  here: boolean;
}

/** All screens, by name. */
export interface ScreensView {
  screens: ScreenView[];
}

/** The first frames of catch-ups are on the screen. When several slots begin together, the rest of their catch-ups waits until all are seen, 0.6 s at most. */
export interface Seen {
  type: "seen";
  frames: SeenFrame[];
}

/** A slot's frame, by its RTP timestamp. */
export interface SeenFrame {
  slot: number;
  rtp: number;
}

/** Who acknowledged an event. */
export interface SeenView {
  by: string;
  at: string;
}

/** A viewer's offer: N `recvonly` video sections, in order the slots 0 to N − 1. */
export interface SessionRequest {
  /** SDP offer (RFC 8866); its candidates are not needed. */
  sdp: string;
  /** What the slots show from the beginning; a number alone is accepted and means nothing. */
  slots?: Aim[] | number;
  /** How large the tiles are: `auto` begins with the profile that fits. */
  sizes?: Size[];
}

/** An open session. */
export interface SessionView {
  id: string;
  /** SDP answer, with all the relay's candidates. */
  sdp: string;
  relay: string;
  /** How many video sections were accepted. */
  slots: number;
  /** Path of the WebSocket that steers it. */
  control: string;
}

/** How somebody is known. */
export const SIGN_IN_KIND_VALUES = [
  "browser",
  "password",
  "token",
  "api",
] as const;
export type SignInKind = (typeof SIGN_IN_KIND_VALUES)[number];

/** A name and its password. */
export interface SignInRequest {
  name: string;
  password: string;
  /** Of an account with a second factor, or a recovery code. */
  code?: string;
}

/** One sign-in. */
export interface SignInView {
  id: string;
  account: string;
  role: Role;
  kind: SignInKind;
  created: string;
  /** Exact to some hours. */
  used: string;
  expires: string;
  address: string;
  agent: string;
  /** This request's own. */
  current: boolean;
}

/** Sign-ins, of each account the one used last first. */
export interface SignInsView {
  sessions: SignInView[];
}

/** A joined site. */
export interface SiteView {
  site: string;
  state: "invited" | "linked" | "away";
  /** Linked or invited: since when. Away: when it was heard last. */
  since: string;
  /** When the invitation ends, and the connection with it. */
  until: string;
  invited_by: string;
  /** How many of its cameras are known here. */
  cameras: number;
}

/** All joined sites. */
export interface SitesView {
  sites: SiteView[];
}

/** How large a tile is on the screen, in physical pixels: `auto` chooses by it. 0 × 0: not visible, send nothing. */
export interface Size {
  type: "size";
  slot: number;
  width_px: number;
  height_px: number;
}

/** The content of a slot and its reason. Sent on each change. */
export interface SlotNotice {
  type: "slot";
  slot: number;
  camera: string | null;
  source: "live" | "recorded";
  state: "empty" | "opening" | "catching-up" | "live" | "waiting" | "playing" | "paused" | "gap";
  profile: "main" | "sub" | null;
  reason: Reason;
  detail: string;
  first_rtp: number | null;
  live_rtp: number | null;
  limited: "none" | "sub" | "keyframes";
  limited_by: "link" | "decoding" | "site";
  transcoded: boolean;
  damaged: boolean;
  codec: string;
  width_px: number;
  height_px: number;
  until_us: number | null;
}

/** The observed status of a camera. */
export const STATUS_VALUES = [
  "connecting",
  "online",
  "degraded",
  "offline",
  "disabled",
] as const;
export type Status = (typeof STATUS_VALUES)[number];

/** One history out of all recorders'. */
export interface TimelineView {
  camera: string;
  from: string;
  to: string;
  ranges: RangeView[];
  gaps: GapView[];
  damage: DamageView[];
  activity: ActivityView[];
}

/** A token, without its secret. */
export interface TokenView {
  id: string;
  name: string;
  rights: Right[] | null;
  created: string;
  expires: string;
}

/** One's own tokens, the newest first. */
export interface TokensView {
  tokens: TokenView[];
}

/** The secret, and the code that the authenticator makes of it. */
export interface TotpConfirmation {
  secret: string;
  code: string;
  password: string;
}

/** A secret for an authenticator; nothing is kept of it yet. */
export interface TotpOffer {
  secret: string;
  /** For a QR code. */
  uri: string;
}

/** One's password. */
export interface TotpRemoval {
  password: string;
}

/** Stops that a wall shows one after the other, and begins again. */
export interface Tour {
  id: string;
  name: string;
  audience: Audience;
  role: Role | null;
  owner: string;
  changed_us: number;
  steps: TourStep[];
}

/** A tour to be saved. */
export interface TourInput {
  /** Chosen by the asker, anew for each thing. Asked again with the same one nothing more is made: the answer is what the first one made. */
  request_id?: string | null;
  name: string;
  audience?: Audience;
  role?: Role | null;
  steps: TourStepInput[];
}

/** The fields of a tour that change. */
export interface TourPatch {
  name?: string | null;
  audience?: Audience | null;
  role?: Role | null;
  steps?: TourStepInput[] | null;
}

/** One stop of a tour: a saved wall, or cameras. */
export interface TourStepInput {
  layout?: string | null;
  cameras?: string[];
  dwell_seconds?: number;
}

/** One stop of a tour: a saved wall, or cameras. */
export interface TourStep {
  layout: string | null;
  cameras: string[];
  dwell_seconds: number;
}

/** The tours that one may see, by name. */
export interface ToursView {
  tours: Tour[];
}

/** One trouble. */
export interface Trouble {
  kind: "crash-loop" | "unassigned" | "overloaded" | "audit-full";
  subject: string;
  count: number;
  /** A sentence that says what to do. */
  detail: string;
}

/** All troubles; empty where all is well. */
export interface TroublesView {
  troubles: Trouble[];
}

/** One worker. */
export interface WorkerView {
  role: "ingest" | "recorder" | "relay" | "registry" | "converter";
  worker: string;
  machine: string;
  state: "active" | "draining" | "drained" | "retired" | "stopping" | "silent";
  wanted: "" | "drain" | "retire";
  cameras: number;
  capacity: number;
  load: number;
  overloaded: string;
}

/** By role and name. */
export interface WorkersList {
  workers: WorkerView[];
}

export type Control = Aim | Size | ClockControl | Lateness | Listen | Seen;

export type Notice = SlotNotice | FrameMark | ClockNotice | LinkNotice | DrainNotice | ErrorNotice;

/** The events that the page listens for, by kind. */
export const EVENT_TYPES = {
  camera: ["registered", "updated", "removed", "online", "offline", "degraded", "recovered", "health"],
  recording: ["segment_closed", "gap", "thinned", "expired", "coverage", "promise", "storage_low", "archive_failed", "archive_recovered", "archive_damaged"],
  incident: ["opened", "updated", "closed", "exported"],
  worker: ["overloaded", "recovered"],
} as const;
