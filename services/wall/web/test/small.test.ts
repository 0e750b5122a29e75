import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Refresher } from "../src/app/refresher.js";
import { supportOf, wantedCodecs } from "../src/media/offer.js";
import { PresentedFrames } from "../src/media/presented.js";
import { Backoff } from "../src/model/backoff.js";
import { Observable } from "../src/model/observable.js";

describe("backoff", () => {
  it("doubles up to its limit, with at least half of it, and starts anew after a success", () => {
    const low = new Backoff(100, 1000, () => 0);
    expect([1, 2, 3, 4, 5, 6].map(() => low.next())).toEqual([50, 100, 200, 400, 500, 500]);
    low.reset();
    expect(low.next()).toBe(50);
    const high = new Backoff(100, 1000, () => 0.999999);
    for (let i = 0; i < 100; i++) expect(high.next()).toBeLessThanOrEqual(1000);
  });
});

describe("an observable", () => {
  it("tells of changes only, until one has heard enough", () => {
    const value = new Observable(1);
    const heard: number[] = [];
    const end = value.subscribe((now) => heard.push(now));
    value.set(1);
    value.set(2);
    value.update((now) => now + 1);
    end();
    value.set(9);
    expect(heard).toEqual([2, 3]);
  });
});

describe("the offer's codecs", () => {
  const codec = (mimeType: string, sdpFmtpLine = "") => ({ mimeType, sdpFmtpLine });
  const h264 = (profile: string, mode = 1) =>
    codec("video/H264", `level-asymmetry-allowed=1;packetization-mode=${mode};profile-level-id=${profile}`);

  it("are one H.264 in fragments, one H.265 and retransmissions", () => {
    const wanted = wantedCodecs([
      codec("video/VP8"),
      h264("42001f", 0),
      h264("42001f"),
      h264("42e01f"),
      h264("4d001f", 0),
      h264("4d001f"),
      h264("f4001f"),
      codec("video/rtx"),
      codec("video/H265", "profile-id=1"),
      codec("video/H265", "profile-id=2"),
      codec("video/AV1"),
      codec("video/red"),
    ]);
    expect(wanted).toEqual([h264("4d001f"), codec("video/H265", "profile-id=1"), codec("video/rtx")]);
  });

  it("begin with the richest profile of H.264 that there is", () => {
    const profile = (...offered: string[]) => wantedCodecs(offered.map((id) => h264(id)))[0];
    expect(profile("42e01f", "640c1f", "4d001f")).toEqual(h264("640c1f"));
    expect(profile("42001f", "f4001f")).toEqual(h264("42001f"));
    expect(profile("42e01f")).toEqual(h264("42e01f"));
    expect(wantedCodecs([codec("video/VP8")])).toEqual([]);
  });
});

describe("reading again", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("makes one read of many hints, and another of those that came meanwhile", async () => {
    const read = vi.fn(() => new Promise<void>((resolve) => setTimeout(resolve, 100)));
    const refresher = new Refresher(read, 60_000, () => Date.now());
    for (let i = 0; i < 50; i++) refresher.trigger();
    await vi.advanceTimersByTimeAsync(50);
    expect(read).toHaveBeenCalledTimes(1);
    for (let i = 0; i < 50; i++) refresher.trigger();
    await vi.advanceTimersByTimeAsync(5000);
    expect(read).toHaveBeenCalledTimes(2);
    refresher.stop();
  });

  it("comes back sooner after a failure, and goes on for ever", async () => {
    const read = vi.fn(() => Promise.reject(new Error("away")));
    const refresher = new Refresher(read, 600_000, () => Date.now());
    refresher.trigger();
    await vi.advanceTimersByTimeAsync(120_000);
    expect(read.mock.calls.length).toBeGreaterThan(10);
    refresher.stop();
  });
});

describe("what a browser lacks", () => {
  const browser = (...codecs: string[]) => ({
    RTCPeerConnection: {},
    RTCRtpReceiver: { getCapabilities: () => ({ codecs: codecs.map((mimeType) => ({ mimeType })) }) },
  });

  it("is told apart, and asked again", () => {
    expect(supportOf({})).toBe("no-webrtc");
    expect(supportOf({ RTCPeerConnection: {}, RTCRtpReceiver: {} })).toBe("no-webrtc");
    expect(supportOf(browser("video/VP8"))).toBe("no-h264");
    expect(supportOf(browser("video/VP8", "video/H264"))).toBe("yes");
  });
});

describe("pictures that come to the screen", () => {
  const asked: (() => void)[] = [];
  const seen: (number | null)[] = [];
  let [cancelled, totalVideoFrames] = [0, 0];
  const frames = () => {
    const video = {
      getVideoPlaybackQuality: () => ({ totalVideoFrames }) as VideoPlaybackQuality,
      requestVideoFrameCallback: (callback) =>
        asked.push(() => callback(0, { presentedFrames: 7, rtpTimestamp: 90 } as VideoFrameCallbackMetadata)),
      cancelVideoFrameCallback: () => {
        cancelled += 1;
      },
    } as ConstructorParameters<typeof PresentedFrames>[0];
    return new PresentedFrames(video, (rtp) => seen.push(rtp));
  };
  beforeEach(() => {
    asked.length = seen.length = cancelled = totalVideoFrames = 0;
  });

  it("are asked for one by one where the browser counts none", () => {
    const watched = frames();
    watched.look(false);
    watched.look(false);
    expect(asked).toHaveLength(1);
    asked.pop()?.();
    expect(seen).toEqual([90]);
    watched.look(false);
    watched.stop();
    expect(cancelled).toBe(1);
  });

  it("are known by their count where nobody asks for a timestamp, which spares the page a turn", () => {
    const watched = frames();
    totalVideoFrames = 7;
    watched.look(false);
    watched.look(false);
    expect([seen, asked.length]).toEqual([[null], 0]);
    totalVideoFrames = 9;
    watched.look(true);
    expect([seen, asked.length]).toEqual([[null], 1]);
    asked.pop()?.();
    expect(seen).toEqual([null, 90]);
  });
});
