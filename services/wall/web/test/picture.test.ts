import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Picture } from "../src/media/picture.js";

const START_MS = Date.UTC(2026, 10, 29, 12);

beforeEach(() => {
  vi.useFakeTimers({ now: START_MS });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A live tile of which the browser counts frames, and tells those that are asked for. */
function liveTile() {
  let [totalVideoFrames, rtp] = [0, 0];
  let asked: VideoFrameRequestCallback[] = [];
  const video = {
    style: {},
    getVideoPlaybackQuality: () => ({ totalVideoFrames }),
    requestVideoFrameCallback: (callback: VideoFrameRequestCallback) => asked.push(callback),
    cancelVideoFrameCallback: () => undefined,
  } as unknown as HTMLVideoElement;
  const canvas = { style: {} } as HTMLCanvasElement;
  const ignored = () => undefined;
  const picture = new Picture(video, canvas, ignored, ignored);
  picture.aim("gate", "live");
  const frame = () => {
    totalVideoFrames += 1;
    rtp += 3600;
    const told = asked;
    asked = [];
    for (const callback of told) callback(0, { rtpTimestamp: rtp } as VideoFrameCallbackMetadata);
  };
  return { picture, frame };
}

it("of an enlarged live tile keeps its timestamp while the tile is looked at", () => {
  const { picture, frame } = liveTile();
  picture.followFrames(true);
  for (let n = 1; n <= 5; n++) {
    frame();
    picture.check(true, 1400);
    expect(picture.lastRtp).toBe(n * 3600);
  }
});

it("of a camera that has stopped is as old as its coming, though its timestamp was not asked for", async () => {
  const { picture, frame } = liveTile();
  picture.check(true, 1400);
  for (let n = 0; n < 3; n++) frame();
  picture.check(true, 1400);
  for (let n = 0; n < 8; n++) {
    vi.advanceTimersByTime(250);
    picture.check(true, 1400);
  }
  const awaited = picture.awaitFrame();
  await vi.advanceTimersByTimeAsync(500);
  await awaited;
  expect([picture.lastRtp, picture.cameMs]).toEqual([null, START_MS]);
});
