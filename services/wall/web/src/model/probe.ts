/** What a probe found, in words: what a camera sends, or why it sends nothing and what to do about it. */

import type { ProbedStreamView, Reason } from "../api/generated.js";
import type { MessageKey } from "../i18n/index.js";
import { figuresLine } from "./cameras.js";

const HINTS: Partial<Record<Reason, MessageKey>> = {
  "not-found": "probe.hint.path",
  "bad-address": "probe.hint.address",
  "unsupported-scheme": "probe.hint.address",
  unauthorized: "probe.hint.password",
  "unsupported-auth": "probe.hint.password",
  unreachable: "probe.hint.route",
  refused: "probe.hint.port",
  timeout: "probe.hint.route",
  "no-answer": "probe.hint.port",
  "bad-answer": "probe.hint.port",
  "too-many-clients": "probe.hint.clients",
  "unsupported-transport": "probe.hint.transport",
};

/** What somebody may do about it; null where nothing can be advised. */
export function probeHint(reason: Reason): MessageKey | null {
  return HINTS[reason] ?? null;
}

/** FFmpeg's names as people write them. */
const CODECS: Record<string, string> = {
  h264: "H.264",
  hevc: "H.265",
  mjpeg: "MJPEG",
  av1: "AV1",
  vp8: "VP8",
  vp9: "VP9",
};

/** `H.264 · 1280×720 · 25 fps · 2.1 Mbit/s`. */
export function probedLine(stream: ProbedStreamView, locale: string): string {
  const codec = CODECS[stream.codec] ?? stream.codec.toUpperCase();
  return [codec, figuresLine(stream, locale)].filter(Boolean).join(" · ");
}
