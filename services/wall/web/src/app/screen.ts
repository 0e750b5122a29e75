/** A wall screen: it follows what operators send it, says that it is there, and runs its tour. */

import type { Api } from "../api/client.js";
import type { Screen, ScreenNotice } from "../api/generated.js";
import { Observable } from "../model/observable.js";
import { wallOf } from "../model/saved-wall.js";
import { tourPosition } from "../model/tour.js";
import { INITIAL_WALL, type WallState } from "../model/wall.js";

const HERE_MS = 10_000;
/** A stream that says nothing for so long is dead: it beats every 5 s. */
const SILENT_MS = 20_000;
const TICK_MS = 500;

/** The screen that an address names; null for an operator's page. */
export function screenNamed(path: string): string | null {
  return /^\/screen\/([a-z0-9][a-z0-9-]{0,62})\/?$/.exec(path)?.[1] ?? null;
}

export class ScreenPage {
  /** What it is to show; null before the first answer. */
  readonly screen = new Observable<Screen | null>(null);
  private source: EventSource | null = null;
  private version: string | null = null;
  /** How far the server's clock is ahead of this one. */
  private aheadMs = 0;
  private heardMs = 0;
  private shown = "";
  /** While somebody points at it a tour stands still. */
  paused = false;

  constructor(
    readonly name: string,
    private readonly api: Api,
    private readonly wall: Observable<WallState>,
    private readonly reload: () => void = () => location.reload(),
  ) {}

  start(): void {
    this.connect();
    setInterval(() => this.sayHere(), HERE_MS);
    setInterval(() => this.onTick(), TICK_MS);
    this.sayHere();
  }

  private sayHere(): void {
    // Where it fails the stream has failed, too, and comes back by itself.
    this.api.screenIsHere(this.name).catch(() => undefined);
  }

  private connect(): void {
    this.source?.close();
    this.heardMs = Date.now();
    const source = new EventSource(this.api.screenStreamUrl(this.name));
    this.source = source;
    source.onmessage = (message) => this.onNotice(JSON.parse(String(message.data)) as ScreenNotice);
  }

  onNotice({ screen, version, now_us }: ScreenNotice): void {
    this.heardMs = Date.now();
    this.aheadMs = now_us / 1000 - Date.now();
    if (this.version !== null && this.version !== version) this.reload();
    this.version = version;
    this.screen.set(screen);
    this.show();
  }

  private onTick(): void {
    // The browser gives a stream up for good after some errors, and does not notice a dead network.
    const closed = this.source?.readyState === EventSource.CLOSED;
    if (closed || Date.now() - this.heardMs > SILENT_MS) {
      if (closed || this.source?.readyState !== EventSource.CONNECTING) this.connect();
    }
    if (!this.paused) this.show();
  }

  /** Puts the wall of this moment on the screen. */
  private show(): void {
    const screen = this.screen.value;
    if (!screen) return;
    const position = tourPosition(screen.stops, screen.sent_us / 1000, Date.now() + this.aheadMs);
    const arrangement = position ? screen.stops[position.stop]?.wall : screen.wall;
    const key = JSON.stringify(arrangement ?? null);
    if (key === this.shown) return;
    this.shown = key;
    this.wall.set(arrangement ? wallOf(arrangement) : { ...INITIAL_WALL, layout: "1", automatic: null });
  }
}
