import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Api } from "../src/api/client.js";
import type { ClockControl, Control, TimelineView } from "../src/api/generated.js";
import { Playback } from "../src/app/playback.js";
import type { ViewState } from "../src/app/view.js";
import { SessionKeeper } from "../src/media/keeper.js";
import type { Session, SessionEvents } from "../src/media/session.js";
import { Observable } from "../src/model/observable.js";
import { INITIAL_WALL, put, setSource, type WallState } from "../src/model/wall.js";

const NOW_MS = Date.UTC(2026, 10, 29, 12);
const START_MS = NOW_MS - 3_600_000;
const ANSWER_MS = 300;

describe("the timelines that are read", () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: NOW_MS });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("are of the window and of the cameras that are shown, though an older answer comes last", async () => {
    const asked: { camera: string; answer: () => void }[] = [];
    const timeline = (camera: string, fromMs: number, toMs: number) => {
      const [from, to] = [new Date(fromMs).toISOString(), new Date(toMs).toISOString()];
      const view: TimelineView = { camera, from, to, ranges: [], gaps: [], damage: [], activity: [] };
      return new Promise<TimelineView>((resolve) => asked.push({ camera, answer: () => resolve(view) }));
    };
    const wall = new Observable(put(INITIAL_WALL, 0, "gate"));
    const keeper = new SessionKeeper(() => new Promise(() => undefined), {
      replaced: () => undefined,
      notice: () => undefined,
    });
    const view = new Observable({ timeline: true } as ViewState);
    const playback = new Playback({ timeline } as unknown as Api, keeper, wall, view, () => undefined);
    const shown = () => [...playback.timelines.value.values()].map(({ camera, toMs }) => [camera, toMs]);

    playback.watch({ fromMs: START_MS, toMs: START_MS + 1000 });
    await vi.advanceTimersByTimeAsync(1000);
    playback.watch({ fromMs: START_MS + 5000, toMs: START_MS + 6000 });
    await vi.advanceTimersByTimeAsync(1000);
    for (const { answer } of asked.reverse()) answer();
    await vi.advanceTimersByTimeAsync(0);
    expect(shown()).toEqual([["gate", START_MS + 6500]]);

    asked.length = 0;
    playback.camerasChanged();
    await vi.advanceTimersByTimeAsync(1000);
    wall.set(put(INITIAL_WALL, 0, "square"));
    playback.camerasChanged();
    await vi.advanceTimersByTimeAsync(1000);
    expect(asked.map(({ camera }) => camera)).toEqual(["gate", "square"]);
    for (const { answer } of asked.reverse()) {
      answer();
      await vi.advanceTimersByTimeAsync(0);
    }
    expect(shown().map(([camera]) => camera)).toContain("square");
  });
});

describe("playback with answers that come late", () => {
  let said: ClockControl[];
  let links: (number | null)[];
  let events: SessionEvents;
  let keeper: SessionKeeper;
  let wall: Observable<WallState>;
  let playback: Playback;
  /** The relay's clock: answers with its own moment, `ANSWER_MS` after the command. */
  let relayUs: number;

  beforeEach(async () => {
    vi.useFakeTimers({ now: NOW_MS });
    said = [];
    links = [];
    relayUs = NOW_MS * 1000;
    keeper = new SessionKeeper(
      async (slots, _, given) => {
        events = given;
        const send = (control: Control) => control.type === "clock" && onCommand(control);
        return { slots, video: [], audio: null, send, close: () => undefined } satisfies Session;
      },
      { replaced: () => undefined, notice: (notice) => notice.type === "clock" && playback.onClock() },
    );
    wall = new Observable(put(INITIAL_WALL, 0, "gate"));
    const view = new Observable<ViewState>({
      panel: false,
      timeline: true,
      incidents: false,
      screens: false,
      events: false,
      downloads: false,
      map: false,
      dialog: null,
    });
    playback = new Playback(new Api(), keeper, wall, view, () => links.push(playback.urlMs()));
    keeper.wish(0, { camera: "gate", source: "recorded", widthPx: 640, heightPx: 360 });
    keeper.need(1);
    await vi.advanceTimersByTimeAsync(0);
    events.connected();
    events.controllable();
  });
  afterEach(() => {
    keeper.stop();
    vi.useRealTimers();
  });

  function onCommand(control: ClockControl): void {
    said.push(control);
    if (control.at_us != null) relayUs = control.at_us;
    if (control.action === "step") relayUs -= 40_000;
    const [at_us, number] = [relayUs, control.number ?? 0];
    setTimeout(() => events.notice({ type: "clock", at_us, rate: 1, playing: false, number }), ANSWER_MS);
  }

  it("counts every key: twelve times ten seconds back are 120 seconds", async () => {
    wall.update((state) => setSource(state, "recorded"));
    playback.restore(START_MS);
    await vi.advanceTimersByTimeAsync(1000);
    for (let key = 0; key < 12; key++) {
      playback.skip(-10);
      await vi.advanceTimersByTimeAsync(70);
    }
    expect(playback.nowMs()).toBe(START_MS - 120_000);
    await vi.advanceTimersByTimeAsync(1000);
    expect(playback.nowMs()).toBe(START_MS - 120_000);
    expect(said.at(-1)?.at_us).toBe((START_MS - 120_000) * 1000);
    expect(links.at(-1)).toBe(START_MS - 120_000);
  });

  it("puts the moment after a step into the link", async () => {
    wall.update((state) => setSource(state, "recorded"));
    playback.restore(START_MS);
    await vi.advanceTimersByTimeAsync(ANSWER_MS);
    playback.step("-frame");
    await vi.advanceTimersByTimeAsync(ANSWER_MS);
    expect(links.at(-1)).toBe(START_MS - 40);
  });

  it("replays half a minute in one tile, which then is live again, unless somebody steers it", async () => {
    wall.update((state) => put(state, 1, "square"));
    playback.replay(0);
    expect(wall.value.tiles.map(({ source }) => source)).toEqual(["recorded", "live"]);
    expect(said.map(({ action, at_us }) => [action, at_us ?? null])).toEqual([
      ["seek", (NOW_MS - 30_000) * 1000],
      ["play", null],
    ]);
    const clock = (atMs: number) =>
      events.notice({ type: "clock", at_us: atMs * 1000, rate: 1, playing: true, number: said.at(-1)?.number ?? 0 });
    clock(NOW_MS - 1000);
    expect(playback.active).toBe(true);
    await vi.advanceTimersByTimeAsync(2000);
    clock(NOW_MS);
    expect(playback.active).toBe(false);

    playback.replay(1);
    playback.skip(-5);
    await vi.advanceTimersByTimeAsync(60_000);
    clock(Date.now() - 1000);
    expect(wall.value.tiles.map(({ source }) => source)).toEqual(["live", "recorded"]);
    playback.replay(0);
    expect(wall.value.tiles.map(({ source }) => source)).toEqual(["live", "recorded"]);
  });

  it("has nothing to play on an empty wall", () => {
    wall.set(put(wall.value, 0, null));
    playback.play();
    playback.step("frame");
    playback.skip(-10);
    playback.goBack(300_000);
    expect(playback.active).toBe(false);
    expect(said).toEqual([]);
  });

  it("goes from live to a time, and stays there although the session's clock still said now", async () => {
    playback.seek(START_MS);
    events.notice({ type: "clock", at_us: NOW_MS * 1000, rate: 1, playing: false, number: 0 });
    playback.pause();
    await vi.advanceTimersByTimeAsync(1000);
    expect(playback.nowMs()).toBe(START_MS);
    expect(links.at(-1)).toBe(START_MS);
  });
});
