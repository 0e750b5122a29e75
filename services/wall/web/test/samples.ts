import type { CameraState, CameraView, Profile, ProfileReport, SlotNotice } from "../src/api/generated.js";

/** A camera that is as it should be, but for the given fields. */
export function camera(changes: Partial<CameraView>): CameraView {
  return {
    id: "cam",
    site: "city",
    name: "Camera",
    enabled: true,
    record: true,
    audio: false,
    location: { latitude: null, longitude: null, address: "", bearing: null },
    tags: [],
    priority: 5,
    profiles: { main: profile({ url: "rtsp://10.0.0.1/main" }) },
    has_credentials: false,
    copies: 1,
    privacy_masks: [],
    unmasked_roles: [],
    pin: "",
    retention: null,
    owner_id: null,
    state: null,
    recorders: [],
    ...changes,
  };
}

export function profile(changes: Partial<Profile> & { url: string }): Profile {
  return { transport: "auto", reader: "auto", ...changes };
}

/** What is observed of a camera that delivers. */
export function cameraState(changes: Partial<CameraState>): CameraState {
  return {
    camera: "cam",
    site: "city",
    status: "online",
    reason: "none",
    detail: "",
    since_us: 0,
    profiles: {},
    worker: "ingest-1",
    announced: null,
    ...changes,
  };
}

/** What ingest observes of a profile that delivers. */
export function profileReport(changes: Partial<ProfileReport>): ProfileReport {
  return {
    status: "online",
    reason: "none",
    detail: "",
    since_us: 0,
    codec: "h264",
    width_px: 1280,
    height_px: 720,
    frame_rate: 25,
    bitrate_bps: 2_000_000,
    last_frame_us: 0,
    keyframe_interval_seconds: 2,
    frames: 0,
    reconnects: 0,
    bad_timestamps: 0,
    frames_lost: 0,
    frames_damaged: 0,
    reader: "direct",
    reader_detail: "",
    transport: "tcp",
    certificate: "",
    next_attempt_us: 0,
    stalls_after_seconds: 0,
    clock_offset_us: 0,
    clock_drift_ppm: 0,
    clock_uncertainty_us: 0,
    ...changes,
  };
}

/** A slot that shows its camera live. */
export function slotNotice(changes: Partial<SlotNotice>): SlotNotice {
  return {
    type: "slot",
    slot: 0,
    camera: "cam",
    source: "live",
    state: "live",
    profile: "main",
    reason: "none",
    detail: "",
    first_rtp: null,
    live_rtp: null,
    limited: "none",
    limited_by: "link",
    transcoded: false,
    damaged: false,
    codec: "h264",
    width_px: 1280,
    height_px: 720,
    until_us: null,
    ...changes,
  };
}
