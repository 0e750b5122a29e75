import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../src/api/client.js";
import type { Aim, Control, Notice } from "../src/api/generated.js";
import type { Opening } from "../src/api/types.js";
import { SessionKeeper, type Wish } from "../src/media/keeper.js";
import type { Session, SessionEvents } from "../src/media/session.js";

class FakeSession implements Session {
  readonly video: MediaStreamTrack[] = [];
  readonly audio = null;
  said: Control[] = [];
  closed = false;

  constructor(
    readonly slots: number,
    readonly opening: Opening,
    readonly events: SessionEvents,
  ) {}

  get aims(): readonly Aim[] {
    return this.opening.slots;
  }

  send(control: Control): void {
    if (!this.closed) this.said.push(control);
  }

  close(): void {
    this.closed = true;
  }

  connect(): void {
    this.events.connected();
    this.events.controllable();
  }

  /** What was last said of each slot, of one type. */
  last<T extends "aim" | "size">(type: T, slot: number): Extract<Control, { type: T }> | undefined {
    return this.said.findLast(
      (c): c is Extract<Control, { type: T }> => c.type === type && "slot" in c && c.slot === slot,
    );
  }
}

const live = (camera: string): Wish => ({ camera, source: "live", widthPx: 640, heightPx: 360 });
const recorded = (camera: string): Wish => ({ ...live(camera), source: "recorded" });

const clock = (at_us: number, number = 0) => ({
  type: "clock" as const,
  at_us,
  rate: 1,
  playing: false,
  number,
  receivedMs: 0,
});

describe("the session keeper", () => {
  let opened: FakeSession[];
  let refuse: ApiError | null;
  let replaced: number;
  let notices: Notice[];
  let keeper: SessionKeeper;

  beforeEach(() => {
    vi.useFakeTimers();
    opened = [];
    refuse = null;
    replaced = 0;
    notices = [];
    keeper = new SessionKeeper(
      async (slots, opening, events) => {
        if (refuse) throw refuse;
        const session = new FakeSession(slots, opening(), events);
        opened.push(session);
        return session;
      },
      { replaced: () => replaced++, notice: (notice) => notices.push(notice) },
      () => 0.5,
    );
  });
  afterEach(() => {
    keeper.stop();
    vi.useRealTimers();
  });

  const session = (index: number): FakeSession => {
    const found = opened[index];
    if (!found) throw new Error(`no session ${index} was opened`);
    return found;
  };
  const settle = () => vi.advanceTimersByTimeAsync(0);

  async function start(slots = 4): Promise<FakeSession> {
    keeper.wish(0, live("a"));
    keeper.need(slots);
    await settle();
    session(0).connect();
    return session(0);
  }

  it("shows nothing of a session that it slept through, and opens another", async () => {
    const slept = await start();
    keeper.startAnew();
    expect([keeper.session, keeper.link.value.phase, slept.closed]).toEqual([null, "lost", true]);
    await settle();
    session(1).connect();
    expect(keeper.session).toBe(session(1));
    expect(keeper.link.value.phase).toBe("open");
    slept.events.gone();
    expect(keeper.session).toBe(session(1));
  });

  it("tells of frames that come to the screen together in one message", async () => {
    keeper.need(4);
    await vi.advanceTimersByTimeAsync(0);
    session(0).connect();
    keeper.saw(0, 10);
    keeper.saw(2, 20);
    expect(session(0).said.filter((control) => control.type === "seen")).toEqual([]);
    await vi.advanceTimersByTimeAsync(0);
    keeper.saw(1, 30);
    await vi.advanceTimersByTimeAsync(0);
    expect(session(0).said.filter((control) => control.type === "seen")).toEqual([
      {
        type: "seen",
        frames: [
          { slot: 0, rtp: 10 },
          { slot: 2, rtp: 20 },
        ],
      },
      { type: "seen", frames: [{ slot: 1, rtp: 30 }] },
    ]);
  });

  it("opens one session with the aims and sizes, and does not say them again", async () => {
    const first = await start();
    expect(opened).toHaveLength(1);
    expect(first.slots).toBe(4);
    expect(first.aims[0]).toEqual({ type: "aim", slot: 0, camera: "a", profile: "auto", source: "live" });
    expect(first.opening.sizes).toEqual([{ type: "size", slot: 0, width_px: 640, height_px: 360 }]);
    expect(first.said.filter((control) => "slot" in control && control.slot === 0)).toEqual([]);
    expect(keeper.link.value.phase).toBe("open");
    expect(replaced).toBe(1);
  });

  it("lets the tiles make ready for the first session's pictures before it is connected", async () => {
    keeper.wish(0, live("a"));
    keeper.need(4);
    await settle();
    expect([replaced, keeper.session, keeper.link.value.phase]).toEqual([1, session(0), "connecting"]);
    session(0).connect();
    expect([replaced, keeper.link.value.phase]).toEqual([1, "open"]);
  });

  it("gives the tiles nothing of a session that ended before it was handed over", async () => {
    const early = new SessionKeeper(
      async (slots, opening, events) => {
        const session = new FakeSession(slots, opening(), events);
        opened.push(session);
        events.gone();
        return session;
      },
      { replaced: () => replaced++, notice: () => undefined },
    );
    early.need(1);
    await settle();
    expect([replaced, early.session, early.link.value.phase]).toEqual([0, null, "lost"]);
    early.stop();
  });

  it("does not stay with a session that is drained before it is connected", async () => {
    keeper.need(4);
    await settle();
    session(0).events.notice({ type: "drain" });
    session(0).connect();
    await settle();
    expect(opened).toHaveLength(2);
    session(1).connect();
    await settle();
    expect([keeper.session, opened.length]).toEqual([session(1), 2]);
  });

  it("tries again where the first session is never connected", async () => {
    keeper.need(4);
    await settle();
    session(0).events.gone();
    expect([replaced, keeper.session, keeper.link.value.phase]).toEqual([2, null, "lost"]);
    await vi.advanceTimersByTimeAsync(5000);
    expect(opened).toHaveLength(2);
  });

  it("says what changed while the session was being opened", async () => {
    keeper.wish(0, live("a"));
    keeper.need(4);
    await settle();
    keeper.wish(0, live("b"));
    session(0).events.controllable();
    session(0).events.connected();
    keeper.wish(0, live("c"));
    expect(
      session(0)
        .said.filter((control) => control.type === "aim")
        .map((aim) => aim.camera),
    ).toEqual(["b", "c"]);
  });

  it("steers what changes and nothing else", async () => {
    const first = await start();
    first.said = [];
    keeper.wish(0, live("a"));
    expect(first.said).toEqual([]);
    keeper.wish(0, live("b"));
    expect(first.said).toEqual([{ type: "aim", slot: 0, camera: "b", profile: "auto", source: "live" }]);
    keeper.wish(0, { ...live("b"), widthPx: 1920, heightPx: 1080 });
    expect(first.said).toHaveLength(2);
    keeper.listen(0);
    keeper.listen(0);
    expect(first.said.filter((control) => control.type === "listen")).toHaveLength(1);
  });

  it("says everything again when the control path comes back, but moves no clock", async () => {
    const first = await start();
    keeper.wish(1, recorded("b"));
    keeper.clock.set({ type: "clock", at_us: 5, rate: 1, playing: true, number: 0, receivedMs: 0 });
    first.said = [];
    first.events.controllable();
    expect(first.last("aim", 1)?.camera).toBe("b");
    expect(first.said.some((control) => control.type === "clock")).toBe(false);
  });

  it("opens a new session when the present one is gone, and takes the clock over", async () => {
    await start();
    keeper.wish(1, recorded("b"));
    keeper.clock.set({ type: "clock", at_us: 7, rate: 2, playing: true, number: 0, receivedMs: 0 });
    session(0).events.gone();
    expect(keeper.link.value.phase).toBe("lost");
    expect(keeper.session).toBeNull();
    await settle();
    session(1).connect();
    expect(keeper.link.value.phase).toBe("open");
    expect(session(1).aims[1]).toMatchObject({ camera: "b", source: "recorded" });
    const clocks = session(1).said.filter((control) => control.type === "clock");
    expect(clocks).toEqual([{ type: "clock", action: "play", at_us: 7, rate: 2, number: 0 }]);
  });

  it("says the clock and what changed, although the control path stood before the session was handed over", async () => {
    let hand: () => void = () => undefined;
    const early = new SessionKeeper(
      async (slots, opening, events) => {
        const session = new FakeSession(slots, opening(), events);
        opened.push(session);
        await new Promise<void>((resolve) => {
          hand = resolve;
        });
        return session;
      },
      { replaced: () => replaced++, notice: (notice) => notices.push(notice) },
    );
    early.clock.set({ type: "clock", at_us: 9, rate: 1, playing: false, number: 0, receivedMs: 0 });
    early.wish(0, recorded("a"));
    early.need(4);
    await settle();
    early.wish(0, recorded("b"));
    session(0).connect();
    hand();
    await settle();
    expect(session(0).last("aim", 0)?.camera).toBe("b");
    expect(session(0).said.filter((control) => control.type === "clock")).toEqual([
      { type: "clock", action: "seek", at_us: 9, number: 0 },
    ]);
    early.stop();
  });

  it("says a clock that was moved before the first session took over", async () => {
    keeper.clock.set({ type: "clock", at_us: 1, rate: 1, playing: false, number: 0, receivedMs: 0 });
    keeper.wish(0, recorded("a"));
    keeper.need(1);
    await settle();
    session(0).events.controllable();
    keeper.steer({ action: "seek", at_us: 2 }, clock(2));
    session(0).events.connected();
    expect(session(0).said.filter((control) => control.type === "clock")).toEqual([
      { type: "clock", action: "seek", at_us: 1, number: 0 },
      { type: "clock", action: "seek", at_us: 2, number: 1 },
    ]);
  });

  it("does not say a clock again that the session itself has told", async () => {
    keeper.clock.set({ type: "clock", at_us: 1, rate: 1, playing: false, number: 0, receivedMs: 0 });
    keeper.wish(0, recorded("a"));
    keeper.need(1);
    await settle();
    session(0).events.controllable();
    session(0).events.notice({ type: "clock", at_us: 1, rate: 1, playing: false, number: 0 });
    session(0).events.connected();
    expect(session(0).said.filter((control) => control.type === "clock")).toHaveLength(1);
  });

  it("ignores answers to commands before the last one", async () => {
    const first = await start();
    keeper.wish(0, recorded("a"));
    notices = [];
    keeper.steer({ action: "seek", at_us: 10 }, clock(10));
    keeper.steer({ action: "seek", at_us: 20 }, clock(20));
    first.events.notice(clock(10, 1));
    expect(keeper.clock.value?.at_us).toBe(20);
    expect(notices).toEqual([]);
    first.events.notice(clock(21, 2));
    expect(keeper.clock.value?.at_us).toBe(21);
    expect(notices).toHaveLength(1);
  });

  it("says a command again that was lost with the broken control path, and none that was answered", async () => {
    const first = await start();
    keeper.wish(0, recorded("a"));
    keeper.steer({ action: "seek", at_us: 10 }, clock(10));
    first.events.notice(clock(10, 1));
    first.said = [];
    first.events.controllable();
    expect(first.said.some((control) => control.type === "clock")).toBe(false);
    keeper.steer({ action: "seek", at_us: 20 }, clock(20));
    first.said = [];
    first.events.controllable();
    expect(first.said.filter((control) => control.type === "clock")).toEqual([
      { type: "clock", action: "seek", at_us: 20, number: 2 },
    ]);
  });

  it("says a command to the next session that was given while that one connected", async () => {
    const first = await start();
    keeper.wish(0, recorded("a"));
    keeper.steer({ action: "seek", at_us: 10 }, clock(10));
    first.events.notice({ type: "drain" });
    await settle();
    session(1).events.controllable();
    keeper.steer({ action: "seek", at_us: 20 }, clock(20));
    session(1).events.notice(clock(10, 1));
    session(1).events.connected();
    expect(keeper.clock.value?.at_us).toBe(20);
    expect(session(1).said.findLast((control) => control.type === "clock")).toEqual({
      type: "clock",
      action: "seek",
      at_us: 20,
      number: 2,
    });
  });

  it("keeps a drained session until the next one shows pictures", async () => {
    const first = await start();
    first.events.notice({ type: "drain" });
    await settle();
    expect(first.closed).toBe(false);
    expect(keeper.link.value.phase).toBe("open");
    keeper.wish(0, live("z"));
    session(1).connect();
    expect(first.closed).toBe(true);
    expect(keeper.session).toBe(session(1));
    expect(session(1).last("aim", 0)?.camera).toBe("z");
  });

  it("grows by a new session, beside the old one, and never shrinks", async () => {
    const first = await start();
    keeper.need(16);
    await settle();
    expect(first.closed).toBe(false);
    expect(session(1).slots).toBe(16);
    session(1).connect();
    expect(first.closed).toBe(true);
    keeper.need(4);
    await settle();
    expect(opened).toHaveLength(2);
  });

  it("empties the slots that a smaller layout no longer shows", async () => {
    const first = await start(9);
    keeper.wish(5, live("f"));
    keeper.need(4);
    expect(first.last("aim", 5)?.camera).toBeNull();
    expect(first.last("size", 5)).toMatchObject({ width_px: 0, height_px: 0 });
  });

  it("tries again with growing pauses while there is no server, and says why", async () => {
    refuse = new ApiError(0, "no-answer", "away");
    keeper.need(1);
    await settle();
    expect(keeper.link.value.phase).toBe("lost");
    refuse = new ApiError(503, "unavailable", "full");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(keeper.link.value.phase).toBe("full");
    expect(opened).toHaveLength(0);
    refuse = null;
    await vi.advanceTimersByTimeAsync(6000);
    session(0).connect();
    expect(keeper.link.value.phase).toBe("open");
  });

  it("tries again when a session never connects", async () => {
    keeper.need(1);
    await settle();
    session(0).events.gone();
    expect(keeper.link.value.phase).toBe("lost");
    await vi.advanceTimersByTimeAsync(1000);
    session(1).connect();
    expect(keeper.session).toBe(session(1));
  });

  it("is back within two seconds of a drain or a loss", async () => {
    await start();
    for (const event of ["gone", "drain"] as const) {
      const present = session(opened.length - 1);
      if (event === "gone") present.events.gone();
      else present.events.notice({ type: "drain" });
      await vi.advanceTimersByTimeAsync(500);
      session(opened.length - 1).connect();
      expect(keeper.session).not.toBe(present);
      expect(keeper.session).not.toBeNull();
    }
  });

  it("hands on what a session says before it takes over, and nothing of the old one afterwards", async () => {
    const first = await start();
    first.events.notice({ type: "drain" });
    await settle();
    notices = [];
    session(1).events.notice({ type: "clock", at_us: 3, rate: 1, playing: false, number: 0 });
    expect(notices).toEqual([]);
    session(1).connect();
    expect(notices).toHaveLength(1);
    first.events.notice({ type: "clock", at_us: 4, rate: 1, playing: false, number: 0 });
    first.events.gone();
    expect(notices).toHaveLength(1);
    expect(keeper.session).toBe(session(1));
  });

  it("says that video does not get here once the server took two sessions and neither was connected", async () => {
    keeper.need(1);
    await vi.advanceTimersByTimeAsync(0);
    opened.at(-1)?.events.gone();
    expect(keeper.link.value.phase).toBe("lost");
    await vi.advanceTimersByTimeAsync(6000);
    opened.at(-1)?.events.gone();
    expect(keeper.link.value.phase).toBe("no-path");
    await vi.advanceTimersByTimeAsync(6000);
    opened.at(-1)?.connect();
    expect(keeper.link.value.phase).toBe("open");
    opened.at(-1)?.events.gone();
    expect(keeper.link.value.phase).toBe("lost");
    await vi.advanceTimersByTimeAsync(6000);
    opened.at(-1)?.events.gone(true);
    expect(keeper.link.value.phase).toBe("no-network");
    await vi.advanceTimersByTimeAsync(6000);
    opened.at(-1)?.connect();
    expect(keeper.link.value.phase).toBe("open");
    opened.at(-1)?.events.gone();
    expect(keeper.link.value.phase).toBe("lost");
  });
});
