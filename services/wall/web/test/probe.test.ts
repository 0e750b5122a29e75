import { describe, expect, it } from "vitest";
import type { ProbedStreamView } from "../src/api/generated.js";
import { CATALOGUES } from "../src/i18n/index.js";
import { fieldsOf, probeOf } from "../src/model/camera-form.js";
import { probedLine, probeHint } from "../src/model/probe.js";
import { camera } from "./samples.js";

const STREAM: ProbedStreamView = {
  url: "rtsp://h/main",
  reason: "none",
  detail: "",
  codec: "hevc",
  width_px: 2560,
  height_px: 1440,
  frame_rate: 24.98,
  bitrate_bps: 4_120_000,
  audio_codec: "",
  still: "",
};

describe("a probe", () => {
  it("tells what a camera sends as people write it", () => {
    expect(probedLine(STREAM, "id-ID")).toBe("H.265 · 2560×1440 · 25 fps · 4,1 Mbit/s");
    expect(probedLine({ ...STREAM, codec: "theora", width_px: 0 }, "en-GB")).toBe("THEORA");
  });

  it("advises apart on a wrong path, a wrong password, no route and too many clients, in both languages", () => {
    const hints = (["not-found", "unauthorized", "unreachable", "too-many-clients"] as const).map(probeHint);
    expect(new Set(hints).size).toBe(4);
    for (const catalogue of Object.values(CATALOGUES)) {
      for (const hint of hints) expect(hint && catalogue[hint]).toBeTruthy();
    }
    expect(probeHint("bad-stream")).toBeNull();
  });

  it("asks with the typed user, or names the camera whose kept one serves", () => {
    const fields = { ...fieldsOf(null, "city"), name: "A", mainUrl: " rtsp://h/a ", username: "u", password: "p" };
    expect(probeOf(fields, null)).toEqual({
      profiles: { main: { url: "rtsp://h/a", transport: "auto" } },
      credentials: { username: "u", password: "p" },
    });
    const known = camera({ id: "cam-7", has_credentials: true });
    expect(probeOf(fieldsOf(known, "city"), known)).toMatchObject({ camera: "cam-7" });
  });
});
