/** The PeerConnection's offer: N video slots to receive and one sound, with the codecs that a camera may send and no others. */

/** H.264 in whole fragments (RFC 6184 packetization-mode 1), H.265, and their retransmissions. */
export function wantedCodecs<T extends Pick<RTCRtpCodec, "mimeType" | "sdpFmtpLine">>(codecs: readonly T[]): T[] {
  return codecs.filter((codec) => {
    const kind = codec.mimeType.toLowerCase();
    if (kind === "video/h264") return /packetization-mode=1/.test(codec.sdpFmtpLine ?? "");
    return kind === "video/h265" || kind === "video/rtx";
  });
}

/** Whether this browser can receive H.264 at all. */
export function canReceive(): boolean {
  if (typeof RTCPeerConnection === "undefined") return false;
  const codecs = RTCRtpReceiver.getCapabilities("video")?.codecs ?? [];
  return codecs.some((codec) => codec.mimeType.toLowerCase() === "video/h264");
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
    return transceiver.receiver.track;
  });
  return { video, audio: pc.addTransceiver("audio", { direction: "recvonly" }) };
}
