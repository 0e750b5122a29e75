// A WHEP player made of libdatachannel: writes the RTP packets that it receives to its standard output, each behind
// its length (16 bits) and its kind (one byte, `v` or `a`). Ends, and says goodbye, when its standard input ends.
//
//     node libdatachannel_player.mjs <node_modules> <WHEP URL>
import { createRequire } from "node:module";

const [modules, url] = process.argv.slice(2);
const rtc = createRequire(`${modules}/`)("node-datachannel");

const peer = new rtc.PeerConnection("player", { iceServers: [], forceMediaTransport: true, disableAutoNegotiation: true });
const video = new rtc.Video("0", "RecvOnly");
video.addH264Codec(96);
const audio = new rtc.Audio("1", "RecvOnly");
audio.addOpusCodec(111);
audio.addAudioCodec(0, "PCMU");
audio.addAudioCodec(8, "PCMA");
const tracks = [
  ["v", peer.addTrack(video)],
  ["a", peer.addTrack(audio)],
];
for (const [kind, track] of tracks) {
  track.setMediaHandler(new rtc.RtcpReceivingSession());
  track.onMessage((packet) => {
    const head = Buffer.alloc(3);
    head.writeUInt16BE(packet.length + 1);
    head.write(kind, 2);
    process.stdout.write(Buffer.concat([head, packet]));
  });
}

const gathered = new Promise((resolve) => peer.onGatheringStateChange((state) => state === "complete" && resolve()));
peer.setLocalDescription("offer");
await gathered;
const headers = { "Content-Type": "application/sdp" };
const answer = await fetch(url, { method: "POST", headers, body: peer.localDescription().sdp });
if (answer.status !== 201) throw new Error(`${answer.status}: ${await answer.text()}`);
peer.setRemoteDescription(await answer.text(), "answer");

process.stdin.resume();
process.stdin.on("end", async () => {
  await fetch(new URL(answer.headers.get("Location"), url), { method: "DELETE" });
  peer.close();
  rtc.cleanup();
  process.exit(0);
});
