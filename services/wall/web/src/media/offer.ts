/**
 * The PeerConnection's offer: N video slots to receive and one sound, with only the codecs and extensions that the relay
 * answers. Browsers and the relay parse every line for every slot: a full offer of sixteen slots costs 40 ms more.
 */

/** The profiles of H.264, the richest first, as the relay prefers them. Decoders take any profile, also one that was not negotiated. */
const H264_PROFILES = ["64", "4d"];
const HEADER_EXTENSIONS = ["urn:ietf:params:rtp-hdrext:sdes:mid", "abs-send-time", "playout-delay"];

/** One H.264 in whole fragments (RFC 6184 packetization-mode 1), one H.265, and their retransmissions. */
export function wantedCodecs<T extends Pick<RTCRtpCodec, "mimeType" | "sdpFmtpLine">>(codecs: readonly T[]): T[] {
  const of = (kind: string) => codecs.filter((codec) => codec.mimeType.toLowerCase() === kind);
  const rank = (codec: T) => {
    const profile = /profile-level-id=(..)/.exec(codec.sdpFmtpLine ?? "")?.[1]?.toLowerCase() ?? "";
    const found = H264_PROFILES.indexOf(profile);
    return found < 0 ? H264_PROFILES.length : found;
  };
  const h264 = of("video/h264").filter((codec) => /packetization-mode=1/.test(codec.sdpFmtpLine ?? ""));
  h264.sort((a, b) => rank(a) - rank(b));
  return [...h264.slice(0, 1), ...of("video/h265").slice(0, 1), ...of("video/rtx")];
}

/** Not in TypeScript's library yet, nor in every browser (WebRTC Extensions, section 5.5). */
interface HeaderExtensions {
  getHeaderExtensionsToNegotiate?: () => { uri: string; direction: RTCRtpTransceiverDirection }[];
  setHeaderExtensionsToNegotiate?: (extensions: { uri: string; direction: RTCRtpTransceiverDirection }[]) => void;
}

function trimHeaderExtensions(transceiver: RTCRtpTransceiver & HeaderExtensions): void {
  const offered = transceiver.getHeaderExtensionsToNegotiate?.();
  if (!offered) return;
  const trimmed = offered.map(({ uri, direction }) => {
    const wanted = HEADER_EXTENSIONS.some((name) => uri.endsWith(name));
    return { uri, direction: wanted ? direction : ("stopped" as const) };
  });
  transceiver.setHeaderExtensionsToNegotiate?.(trimmed);
}

/** Whether this browser can show the wall, or what it lacks. */
export type Support = "yes" | "no-webrtc" | "no-h264";

interface Capable {
  RTCPeerConnection?: unknown;
  RTCRtpReceiver?: { getCapabilities?: (kind: string) => { codecs: readonly { mimeType: string }[] } | null };
}

/** Ask again after "no-h264": Firefox fetches its H.264 in the background after its first start. */
export function supportOf(browser: Capable = globalThis): Support {
  if (!browser.RTCPeerConnection || !browser.RTCRtpReceiver?.getCapabilities) return "no-webrtc";
  const codecs = browser.RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
  return codecs.some((codec) => codec.mimeType.toLowerCase() === "video/h264") ? "yes" : "no-h264";
}

export interface Receivers {
  /** Slot n's track is the n-th. */
  video: MediaStreamTrack[];
  audio: RTCRtpTransceiver;
}

export function addReceivers(pc: RTCPeerConnection, slots: number): Receivers {
  const codecs = wantedCodecs(RTCRtpReceiver.getCapabilities("video")?.codecs ?? []);
  const video = Array.from({ length: slots }, () => {
    const transceiver = pc.addTransceiver("video", { direction: "recvonly" });
    if (codecs.length > 0) transceiver.setCodecPreferences(codecs);
    trimHeaderExtensions(transceiver);
    return transceiver.receiver.track;
  });
  return { video, audio: pc.addTransceiver("audio", { direction: "recvonly" }) };
}
