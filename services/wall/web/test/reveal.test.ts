import { describe, expect, it } from "vitest";
import type { SlotNotice } from "../src/api/generated.js";
import { CATCH_UP_LIMIT_MS, NEAREST_AFTER_MS, Reveal } from "../src/model/reveal.js";
import { slotNotice } from "./samples.js";

const notice = (changes: Partial<SlotNotice>) =>
  slotNotice({ camera: "a", state: "catching-up", profile: "sub", live_rtp: 100_000, ...changes });

function aimed(): Reveal {
  const reveal = new Reveal();
  expect(reveal.aim("a", "live")).toBe("cover");
  return reveal;
}

function shown(): Reveal {
  const reveal = aimed();
  reveal.notice(notice({}), 0);
  expect(reveal.frame(100_000, 1)).toBe("reveal");
  return reveal;
}

const past = (changes: Partial<SlotNotice>) => notice({ source: "recorded", ...changes });

/** A recorded tile whose clock stands. */
function recorded(): Reveal {
  const reveal = new Reveal();
  reveal.aim("a", "recorded");
  reveal.notice(past({ first_rtp: 100_000, live_rtp: 100_000 }), 0);
  expect(reveal.frame(100_000, 1)).toBe("reveal");
  return reveal;
}

describe("the instant picture", () => {
  it("tells once of a replay's first frame on the screen, and not of the camera before", () => {
    const reveal = aimed();
    reveal.notice(notice({ first_rtp: 99_950 }), 0);
    reveal.frame(90_000, 5);
    expect(reveal.takeSeen()).toBeNull();
    reveal.frame(99_950, 10);
    expect(reveal.takeSeen()).toBe(99_950);
    reveal.frame(99_960, 15);
    expect(reveal.takeSeen()).toBeNull();
    reveal.notice(notice({ first_rtp: 99_950, live_rtp: 200_000 }), 20);
    reveal.frame(199_990, 30);
    expect(reveal.takeSeen()).toBe(199_990);
  });

  it("tells of a first frame that overtook its notice", () => {
    const reveal = aimed();
    reveal.frame(99_950, 5);
    reveal.notice(notice({ first_rtp: 99_950 }), 10);
    expect(reveal.takeSeen()).toBe(99_950);
  });

  it("shows the first cached frame, hides the others behind a still and reveals the video when it is live", () => {
    const reveal = aimed();
    expect(reveal.notice(notice({ first_rtp: 99_950 }), 0)).toBe("none");
    expect(reveal.frame(99_950, 10)).toBe("bare");
    expect(reveal.frame(99_960, 15)).toBe("still");
    expect(reveal.frame(99_990, 20)).toBe("none");
    expect(reveal.shown).toBe(false);
    expect(reveal.frame(100_000, 60)).toBe("reveal");
    expect(reveal.shown).toBe(true);
    expect(reveal.watching).toBe(false);
  });

  it("never shows a frame of the camera before", () => {
    const reveal = shown();
    expect(reveal.aim("b", "live")).toBe("cover");
    expect(reveal.frame(103_600, 5)).toBe("none");
    reveal.notice(notice({ camera: "b", first_rtp: 110_000, live_rtp: 110_050 }), 10);
    expect(reveal.frame(107_200, 15)).toBe("none");
    expect(reveal.frame(110_000, 20)).toBe("bare");
    expect(reveal.frame(110_051, 30)).toBe("reveal");
  });

  it("takes no second look at the first frame for the next one", () => {
    const reveal = aimed();
    reveal.notice(notice({ first_rtp: 99_950 }), 0);
    expect(reveal.frame(99_950, 10)).toBe("bare");
    expect(reveal.notice(notice({ first_rtp: 99_950 }), 11)).toBe("none");
    expect(reveal.notice(notice({ state: "live", first_rtp: 99_950 }), 12)).toBe("none");
    expect(reveal.frame(99_951, 13)).toBe("still");
  });

  it("copies a first frame that stands bare when its session goes", () => {
    const reveal = aimed();
    reveal.notice(notice({ first_rtp: 99_950 }), 0);
    expect(reveal.frame(99_950, 10)).toBe("bare");
    expect(reveal.restart()).toBe("still");
    expect(reveal.restart()).toBe("none");
  });

  it("tells own frames by the compressed GOP where the relay names no first one", () => {
    const reveal = aimed();
    reveal.notice(notice({}), 0);
    expect(reveal.frame(95_000, 5)).toBe("none");
    expect(reveal.frame(99_800, 6)).toBe("bare");
  });

  it("ignores what is said of a camera that is no longer wanted, or of its recording", () => {
    const reveal = aimed();
    reveal.notice(notice({ camera: "old" }), 0);
    reveal.notice(notice({ source: "recorded" }), 0);
    expect(reveal.frame(100_000, 1)).toBe("none");
  });

  it("goes over the wrap of the timestamps", () => {
    const reveal = aimed();
    reveal.notice(notice({ first_rtp: 2 ** 32 - 20, live_rtp: 10 }), 0);
    expect(reveal.frame(2 ** 32 - 20, 1)).toBe("bare");
    expect(reveal.frame(2 ** 32 - 1, 2)).toBe("still");
    expect(reveal.frame(10, 3)).toBe("reveal");
  });

  it("holds the present picture while the same camera catches up with another profile", () => {
    const reveal = shown();
    expect(reveal.notice(notice({ profile: "main", live_rtp: 200_000 }), 0)).toBe("bare");
    expect(reveal.frame(199_998, 1)).toBe("still");
    expect(reveal.frame(199_999, 1)).toBe("none");
    expect(reveal.frame(200_000, 2)).toBe("reveal");
  });

  it("shows what there is when the catch-up takes too long", () => {
    const reveal = aimed();
    reveal.notice(notice({ live_rtp: 900_000 }), 0);
    expect(reveal.frame(1, 10)).toBe("none");
    expect(reveal.frame(2, CATCH_UP_LIMIT_MS + 1)).toBe("none");
    expect(reveal.frame(899_900, CATCH_UP_LIMIT_MS + 2)).toBe("reveal");
  });

  it("waits for the relay's word in a browser that tells no timestamps", () => {
    const reveal = aimed();
    reveal.notice(notice({}), 0);
    expect(reveal.frame(undefined, 1)).toBe("none");
    reveal.notice(notice({ state: "live" }), 2);
    expect(reveal.frame(undefined, 3)).toBe("reveal");
  });

  it("shows the next frame when nothing has to be caught up with", () => {
    const reveal = aimed();
    reveal.notice(notice({ state: "live", live_rtp: null }), 0);
    expect(reveal.frame(7, 1)).toBe("reveal");
  });

  it("keeps the last picture as a still while another session takes over", () => {
    const reveal = shown();
    expect(reveal.restart()).toBe("still");
    reveal.notice(notice({ live_rtp: 5 }), 3);
    expect(reveal.frame(5, 4)).toBe("reveal");
  });

  it("takes a frame that overtook its notice for what it is", () => {
    const reveal = shown();
    reveal.aim("b", "live");
    expect(reveal.frame(200_000, 1)).toBe("none");
    expect(reveal.notice(notice({ camera: "b", first_rtp: 199_990, live_rtp: 200_000 }), 2)).toBe("reveal");
  });

  it("does not hide what is live already when the notice comes late", () => {
    const reveal = shown();
    reveal.frame(205_000, 1);
    expect(reveal.notice(notice({ profile: "main", first_rtp: 199_990, live_rtp: 200_000 }), 2)).toBe("none");
    expect(reveal.shown).toBe(true);
  });

  it("is not hidden for ever by one catch-up after the other", () => {
    const reveal = shown();
    reveal.notice(notice({ first_rtp: 150_000, live_rtp: 200_000 }), 0);
    reveal.notice(notice({ first_rtp: 200_000, live_rtp: 300_000 }), CATCH_UP_LIMIT_MS - 1);
    expect(reveal.frame(249_999, CATCH_UP_LIMIT_MS)).toBe("still");
    expect(reveal.frame(250_000, CATCH_UP_LIMIT_MS)).toBe("none");
    expect(reveal.frame(250_001, CATCH_UP_LIMIT_MS + 1)).toBe("reveal");
  });

  it("shows the picture of a standing clock although its last frame was never told of", () => {
    const reveal = recorded();
    expect(reveal.notice(past({ first_rtp: 100_000, live_rtp: 200_000 }), 0)).toBe("still");
    expect(reveal.frame(199_990, 1)).toBe("none");
    expect(reveal.rest()).toBe("none");
    expect(reveal.notice(past({ state: "paused", first_rtp: 100_000, live_rtp: 200_000 }), 2)).toBe("none");
    expect(reveal.rest()).toBe("reveal");
    expect(reveal.rest()).toBe("none");
  });

  it("does not take the picture of the camera before for one that was not told of", () => {
    const reveal = shown();
    reveal.aim("b", "live");
    reveal.notice(notice({ camera: "b", first_rtp: 199_990, live_rtp: 200_000 }), 1);
    reveal.notice(notice({ camera: "b", state: "paused", first_rtp: 199_990, live_rtp: 200_000 }), 2);
    expect(reveal.rest()).toBe("none");
    expect(reveal.shown).toBe(false);
  });

  it("shows the nearest picture of a recorded moment until its own is there, where that takes long", () => {
    const reveal = recorded();
    expect(reveal.notice(past({ first_rtp: 150_000, live_rtp: 200_000 }), 0)).toBe("still");
    expect(reveal.frame(100_001, 140)).toBe("none");
    expect(reveal.frame(150_000, NEAREST_AFTER_MS - 1)).toBe("none");
    expect(reveal.frame(150_010, NEAREST_AFTER_MS)).toBe("still");
    expect(reveal.frame(150_020, NEAREST_AFTER_MS + 20)).toBe("none");
    expect(reveal.frame(200_000, NEAREST_AFTER_MS + 40)).toBe("reveal");
  });

  it("shows the keyframe before a moment as soon as it comes, also between other notices", () => {
    const early = recorded();
    expect(early.notice(past({ first_rtp: 150_000, live_rtp: 150_000 }), 0)).toBe("still");
    expect(early.frame(150_000, 10)).toBe("reveal");
    expect(early.notice(past({ first_rtp: 150_000, live_rtp: 200_000 }), 20)).toBe("still");
    expect(early.frame(200_000, 60)).toBe("reveal");
    const late = recorded();
    late.notice(past({ first_rtp: 150_000, live_rtp: 150_000 }), 0);
    late.notice(past({ first_rtp: 150_000, live_rtp: 200_000 }), 1);
    expect(late.frame(150_000, 10)).toBe("still");
    expect(late.frame(150_010, 20)).toBe("none");
    expect(late.frame(200_000, 60)).toBe("reveal");
  });

  it("covers the live picture when the tile turns to the recording", () => {
    expect(shown().aim("a", "recorded")).toBe("cover");
  });
});
