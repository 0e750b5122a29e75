import { describe, expect, it, vi } from "vitest";
import type { AcknowledgedEvent, EventView } from "../src/api/generated.js";
import { EventFeed, microseconds } from "../src/app/event-feed.js";
import { eventMarks, filtered, grouped, loudest, waits } from "../src/model/event-feed.js";
import { camera } from "./samples.js";

function event(id: number, type: string, subject: string, more: Partial<EventView> = {}): EventView {
  const at = new Date(Date.UTC(2026, 10, 29, 12, 0, id)).toISOString();
  return { id, type, subject, site: "home", at, title: "", reason: "", detail: "", actor: "", seen: null, ...more };
}

const SEEN = { by: "siti", at: "2026-11-29T12:00:00.000Z" };
const EVENTS = [
  event(6, "incident.opened", "incident-1", { title: "Crash" }),
  event(5, "camera.recovered", "gate"),
  event(4, "camera.offline", "gate"),
  event(3, "recording.gap", "square"),
  event(2, "camera.offline", "gate", { seen: SEEN }),
  event(1, "camera.offline", "square", { seen: SEEN }),
];

describe("the timeline's marks", () => {
  it("are the faults and warnings about cameras, seen by somebody or not", () => {
    const marks = eventMarks(EVENTS).map(({ camera, atMs, loudness }) => [
      camera,
      new Date(atMs).getUTCSeconds(),
      loudness,
    ]);
    expect(marks).toEqual([
      ["gate", 4, "fault"],
      ["square", 3, "warn"],
      ["gate", 2, "fault"],
      ["square", 1, "fault"],
    ]);
  });
});

describe("an event about a worker or a recorder", () => {
  const events = [
    event(3, "recording.storage_low", "gate"),
    event(2, "worker.overloaded", "gate"),
    event(1, "camera.offline", "gate"),
  ];

  it("is not taken for one about the camera of that name", () => {
    expect(grouped(events).map(({ last }) => last.id)).toEqual([3, 2, 1]);
    expect(eventMarks(events).map(({ type }) => type)).toEqual(["camera.offline"]);
    const cameras = new Map([["gate", camera({ id: "gate", name: "Main entrance" })]]);
    const rows = filtered(grouped(events), { kind: "all", waitingOnly: false, query: "entrance" }, cameras);
    expect(rows.map(({ last }) => last.id)).toEqual([1]);
  });
});

describe("the feed's rows", () => {
  it("are one for each camera or incident, with what still waits for somebody", () => {
    const rows = grouped(EVENTS).map(({ last, events, waiting }) => [
      last.id,
      events.length,
      waiting.map(({ id }) => id),
    ]);
    expect(rows).toEqual([
      [6, 1, []],
      [5, 3, [4]],
      [3, 2, [3]],
    ]);
    expect(EVENTS.filter(waits).map(({ id }) => id)).toEqual([4, 3]);
    expect(loudest(EVENTS)).toBe("fault");
    expect(loudest(EVENTS.filter(({ id }) => id !== 4))).toBe("warn");
    expect(loudest([event(1, "camera.recovered", "gate")])).toBeNull();
  });

  it("are chosen by kind, by name and by whether they wait", () => {
    const cameras = new Map([["gate", camera({ id: "gate", name: "Main gate" })]]);
    const chosen = (filter: Partial<Parameters<typeof filtered>[1]>) =>
      filtered(grouped(EVENTS), { kind: "all", waitingOnly: false, query: "", ...filter }, cameras).map(
        ({ last }) => last.id,
      );
    expect(chosen({})).toEqual([6, 5, 3]);
    expect(chosen({ kind: "recording" })).toEqual([3]);
    expect(chosen({ waitingOnly: true })).toEqual([5, 3]);
    expect(chosen({ query: "main" })).toEqual([5]);
    expect(chosen({ query: "cras" })).toEqual([6]);
    expect(chosen({ query: "square" })).toEqual([3]);
  });
});

describe("the feed", () => {
  const storage = () => {
    const kept = new Map<string, string>();
    return {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, text: string) => kept.set(key, text),
    };
  };

  it("is heard for new faults alone, where somebody wants to hear it", async () => {
    vi.useFakeTimers();
    try {
      let events = EVENTS;
      let heard = 0;
      const api = { recentEvents: async () => events, acknowledge: async () => undefined };
      const feed = new EventFeed(api, storage(), () => {
        heard += 1;
      });
      feed.setSound(true);
      heard = 0;
      const read = async () => {
        feed.trigger();
        await vi.advanceTimersByTimeAsync(2000);
      };
      await read();
      expect(heard).toBe(0);
      events = [event(7, "camera.degraded", "gate"), ...events];
      await read();
      expect(heard).toBe(0);
      events = [event(8, "camera.offline", "gate"), ...events];
      await read();
      await read();
      expect(heard).toBe(1);
      // The stream was created again: its numbers begin anew.
      events = [event(1, "camera.offline", "gate", { at: "2026-11-29T13:00:00.000Z" })];
      await read();
      await read();
      expect(heard).toBe(2);
      feed.setSound(false);
      events = [event(9, "camera.offline", "gate"), ...events];
      await read();
      expect(heard).toBe(2);
    } finally {
      vi.useRealTimers();
    }
  });

  it("acknowledges by number and exact time, in portions that the server takes", async () => {
    const sent: AcknowledgedEvent[][] = [];
    const api = {
      recentEvents: async () => [],
      acknowledge: async (events: AcknowledgedEvent[]) => {
        sent.push(events);
      },
    };
    const feed = new EventFeed(api, storage());
    const many = Array.from({ length: 201 }, (_, i) => event(i + 1, "camera.offline", "gate"));
    await feed.acknowledge(many);
    expect(sent.map((each) => each.length)).toEqual([200, 1]);
    expect(microseconds("2026-11-29T12:00:00.123456Z") % 1_000_000).toBe(123_456);
    expect(microseconds("2026-11-29T12:00:00Z")).toBe(Date.UTC(2026, 10, 29, 12) * 1000);
  });
});
