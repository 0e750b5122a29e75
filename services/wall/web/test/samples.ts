import type { Camera } from "../src/api/types.js";

/** A camera that is as it should be, but for the given fields. */
export function camera(changes: Partial<Camera>): Camera {
  return {
    id: "cam",
    site: "city",
    name: "Camera",
    enabled: true,
    record: true,
    audio: false,
    location: { latitude: null, longitude: null, address: "" },
    tags: [],
    profiles: { main: { url: "rtsp://10.0.0.1/main" } },
    has_credentials: false,
    copies: 1,
    retention: null,
    state: null,
    ...changes,
  };
}
