import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { SlotNotice } from "../src/api/generated.js";
import { Picture, type PictureState } from "../src/media/picture.js";

const START_MS = Date.UTC(2026, 10, 29, 12);

const LIVE = { slot: 0, camera: "gate", source: "live", state: "live", first_rtp: 0, live_rtp: 0 } as SlotNotice;

beforeEach(() => {
  vi.useFakeTimers({ now: START_MS });
  vi.stubGlobal("document", { readyState: "complete" });
  vi.stubGlobal("MediaStream", class {});
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const track = () => ({}) as MediaStreamTrack;

/** A live tile of which the browser counts frames, and tells those that are asked for; `told` is what was told last. */
function liveTile() {
  let [totalVideoFrames, rtp] = [0, 0];
  let asked: VideoFrameRequestCallback[] = [];
  const video = {
    style: {},
    getVideoPlaybackQuality: () => ({ totalVideoFrames }),
    requestVideoFrameCallback: (callback: VideoFrameRequestCallback) => asked.push(callback),
    cancelVideoFrameCallback: () => undefined,
    play: () => Promise.resolve(),
  } as unknown as HTMLVideoElement;
  const canvas = { style: {}, getContext: () => null } as unknown as HTMLCanvasElement;
  const told: PictureState[] = [];
  const picture = new Picture(
    video,
    canvas,
    (state) => told.push(state),
    () => undefined,
  );
  picture.aim("gate", "live");
  const frame = () => {
    totalVideoFrames += 1;
    rtp += 3600;
    const told = asked;
    asked = [];
    for (const callback of told) callback(0, { rtpTimestamp: rtp } as VideoFrameCallbackMetadata);
  };
  return { picture, frame, told: () => told.at(-1) };
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

it("is told to be fresh again where another session's frames come before the first look at them", () => {
  const { picture, frame, told } = liveTile();
  picture.setTrack(track());
  picture.onNotice(LIVE);
  frame();
  picture.check(true, 1400);
  expect(told()).toEqual({ hasPicture: true, staleSinceMs: null });
  vi.advanceTimersByTime(250);
  picture.setTrack(track());
  expect(told()).toMatchObject({ staleSinceMs: START_MS });
  picture.onNotice(LIVE);
  frame();
  for (let n = 0; n < 8; n++) {
    picture.check(true, 1400);
    frame();
    vi.advanceTimersByTime(250);
  }
  expect(told()).toEqual({ hasPicture: true, staleSinceMs: null });
});
