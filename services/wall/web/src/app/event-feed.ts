/** The feed of events: read when one comes, acknowledged for all pages, and heard where somebody wants to hear it. */

import type { Api } from "../api/client.js";
import type { EventView } from "../api/generated.js";
import { loudnessOf, waits } from "../model/event-feed.js";
import { Observable } from "../model/observable.js";
import { Refresher } from "./refresher.js";

const PERIOD_MS = 60_000;
const SOUND_KEY = "pantau.events.sound";
/** As many as the server takes at once. */
const AT_ONCE = 200;

export class EventFeed {
  /** Newest first; null before the first answer. */
  readonly events = new Observable<readonly EventView[] | null>(null);
  /** Whether a fault is heard. */
  readonly sound: Observable<boolean>;
  /** What the last answer had. Numbers alone do not tell what is new: a stream that is created again gives them again. */
  private listed: ReadonlySet<string> = new Set();
  private readonly reader = new Refresher(() => this.read(), PERIOD_MS);

  constructor(
    private readonly api: Pick<Api, "recentEvents" | "acknowledge">,
    private readonly storage: Pick<Storage, "getItem" | "setItem">,
    private readonly beep: () => void = beepTwice,
  ) {
    this.sound = new Observable(storage.getItem(SOUND_KEY) === "on");
  }

  trigger(): void {
    this.reader.trigger();
  }

  setSound(on: boolean): void {
    this.storage.setItem(SOUND_KEY, on ? "on" : "off");
    this.sound.set(on);
    if (on) this.beep();
  }

  /** Rejects with `ApiError`. */
  async acknowledge(events: readonly EventView[]): Promise<void> {
    const seen = events.map(({ id, at, subject }) => ({ event: id, at_us: microseconds(at), subject }));
    for (let from = 0; from < seen.length; from += AT_ONCE)
      await this.api.acknowledge(seen.slice(from, from + AT_ONCE));
    this.reader.trigger();
  }

  private async read(): Promise<void> {
    const events = await this.api.recentEvents();
    const known = this.events.value !== null;
    const fresh = events.filter((event) => !this.listed.has(keyOf(event)));
    if (events.length > 0) this.listed = new Set(events.map(keyOf));
    this.events.set(events);
    // What was there before the page was is not news.
    const alarming = fresh.some((event) => waits(event) && loudnessOf(event.type) === "fault");
    if (known && alarming && this.sound.value) this.beep();
  }
}

function keyOf({ id, at }: EventView): string {
  return `${id} ${at}`;
}

/** RFC 3339 has microseconds where they are not milliseconds; `Date` would drop them. */
export function microseconds(at: string): number {
  const [, digits = ""] = /\.(\d+)/.exec(at) ?? [];
  const seconds = Date.parse(at.replace(/\.\d+/, ""));
  return seconds * 1000 + Number(digits.padEnd(6, "0").slice(0, 6));
}

let audio: AudioContext | undefined;

/** Two short tones. A browser that has not been clicked yet keeps silent. */
function beepTwice(): void {
  audio ??= new AudioContext();
  for (const delay of [0, 0.22]) {
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    tone.frequency.value = 880;
    volume.gain.setValueAtTime(0.12, audio.currentTime + delay);
    volume.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + delay + 0.18);
    tone.connect(volume).connect(audio.destination);
    tone.start(audio.currentTime + delay);
    tone.stop(audio.currentTime + delay + 0.2);
  }
}
