/** The server-sent events, used as a signal to read something again. */

import { EVENT_TYPES } from "./generated.js";

export type EventKind = keyof typeof EVENT_TYPES | "events";

const RETRY_MS = 3000;

/** Calls `onEvent` for each event, and `onOpen` whenever the stream (re)opens: events may have been missed, so everything is read then. */
export class EventStream {
  private source: EventSource | null = null;
  private timer: ReturnType<typeof setTimeout> | null = null;

  constructor(
    private readonly url: string,
    private readonly onEvent: (kind: EventKind) => void,
    private readonly onOpen: () => void,
  ) {}

  start(): void {
    const source = new EventSource(this.url);
    this.source = source;
    source.onopen = () => this.onOpen();
    source.onerror = () => {
      // The browser reconnects by itself unless the answer was an error: then it gives up for good.
      if (source.readyState !== EventSource.CLOSED) return;
      this.timer = setTimeout(() => this.start(), RETRY_MS);
    };
    source.addEventListener("events.acknowledged", () => this.onEvent("events"));
    for (const kind of Object.keys(EVENT_TYPES) as (keyof typeof EVENT_TYPES)[]) {
      for (const name of EVENT_TYPES[kind]) source.addEventListener(`${kind}.${name}`, () => this.onEvent(kind));
    }
  }

  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.source?.close();
  }
}
