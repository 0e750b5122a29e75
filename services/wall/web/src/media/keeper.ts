/**
 * Keeps a wall session alive: sends what each slot should show, opens a new session when the present one dies, is drained
 * or has too few slots, and sends everything again to the new one.
 */

import { ApiError } from "../api/client.js";
import type { Aim, ClockControl, ClockNotice, Control, LinkNotice, Notice, SeenFrame, Size } from "../api/generated.js";
import type { Opening, Source } from "../api/types.js";
import { Backoff } from "../model/backoff.js";
import { Observable } from "../model/observable.js";
import { siteNow } from "../model/site-clock.js";
import type { LinkPhase } from "../model/tile-status.js";
import type { Session, SessionEvents } from "./session.js";

export interface Wish {
  camera: string | null;
  source: Source;
  widthPx: number;
  heightPx: number;
}

export type OpenSession = (slots: number, opening: () => Opening, events: SessionEvents) => Promise<Session>;

const NO_WISH: Wish = { camera: null, source: "live", widthPx: 0, heightPx: 0 };
/** After so many sessions that were taken and never connected the page says that video does not get here. */
const NO_PATH_ATTEMPTS = 2;
/** Sessions come in these sizes, so that small changes of the layout need no new one. */
const SLOT_STEPS = [1, 4, 9, 16, 25, 36, 64];

type LostPhase = Extract<LinkPhase, "lost" | "no-path" | "no-network">;

export interface KeeperEvents {
  /** Tiles take their tracks from `keeper.session` now, which may not be connected yet; there are none where it is null. */
  replaced: () => void;
  notice: (notice: Notice) => void;
}

/** What was sent to a session, so that only changes are sent: all wishes of a wall are a hundred messages. */
class SentState {
  private readonly last = new Map<string, string>();

  constructor(known: readonly Control[]) {
    for (const control of known) this.isNews(control);
  }

  isNews(control: Control): boolean {
    const key = `${control.type} ${control.type !== "listen" && "slot" in control ? control.slot : ""}`;
    const text = JSON.stringify(control);
    if (this.last.get(key) === text) return false;
    this.last.set(key, text);
    return true;
  }
}

export class SessionKeeper {
  readonly link = new Observable<{ phase: LinkPhase; sinceMs: number }>({ phase: "connecting", sinceMs: siteNow() });
  readonly quality = new Observable<LinkNotice | null>(null);
  readonly clock = new Observable<(ClockNotice & { receivedMs: number }) | null>(null);
  session: Session | null = null;

  private wishes: Wish[] = [];
  private listening: number | null = null;
  /** The number of the operator's last clock command. */
  private command = 0;
  /** Not sent yet. */
  private seen: SeenFrame[] = [];
  private opening = false;
  /** The present session's relay drains; its notice may come before the session is connected. */
  private drained = false;
  /** The present session is not connected yet: changes are sent as soon as it is. */
  private waiting = false;
  private stopped = false;
  private wantedSlots = 1;
  private retry: ReturnType<typeof setTimeout> | null = null;
  private readonly backoff: Backoff;
  /** Sessions in a row that the server took and no media came through. */
  private unreached = 0;
  /** The last session ended since the browser found no address of its own. */
  private noNetwork = false;

  constructor(
    private readonly open: OpenSession,
    private readonly events: KeeperEvents,
    random: () => number = Math.random,
  ) {
    this.backoff = new Backoff(300, 5000, random);
  }

  /** What slot `slot` should show, and how large it is. Sent to the session where it differs from before. */
  wish(slot: number, wish: Wish): void {
    const before = this.wishes[slot] ?? NO_WISH;
    this.wishes[slot] = wish;
    if (before.camera !== wish.camera || before.source !== wish.source) this.send(this.aimOf(slot));
    if (before.widthPx !== wish.widthPx || before.heightPx !== wish.heightPx) this.send(this.sizeOf(slot));
  }

  /** Makes sure that there is a session with at least `slots` slots; slots beyond are emptied. */
  need(slots: number): void {
    this.wantedSlots = SLOT_STEPS.find((step) => step >= slots) ?? slots;
    for (let slot = slots; slot < this.wishes.length; slot++) this.wish(slot, NO_WISH);
    if (!this.session || this.session.slots < this.wantedSlots) this.renew();
  }

  listen(slot: number | null): void {
    if (slot === this.listening) return;
    this.listening = slot;
    this.send({ type: "listen", slot });
  }

  control(control: Control): void {
    this.send(control);
  }

  /** Sends a clock command, and shows the expected clock at once; older answers on their way no longer count. */
  steer(control: Omit<ClockControl, "type" | "number">, expected: ClockNotice & { receivedMs: number }): void {
    this.command += 1;
    this.clock.set(expected);
    this.send({ type: "clock", ...control, number: this.command });
  }

  /** A replay's first frame has come to the screen. Those that a browser shows together are sent together. */
  saw(slot: number, rtp: number): void {
    if (this.seen.length === 0) setTimeout(() => this.send({ type: "seen", frames: this.seen.splice(0) }));
    this.seen.push({ slot, rtp });
  }

  /** Sends a slot's size again: without an answer the page learns that the relay has gone. */
  probe(slot: number): void {
    this.send(this.sizeOf(slot));
  }

  stop(): void {
    this.stopped = true;
    if (this.retry !== null) clearTimeout(this.retry);
    this.session?.close();
    this.session = null;
  }

  private send(control: Control): void {
    if (this.waiting) return;
    if ("slot" in control && control.slot !== null && control.slot >= (this.session?.slots ?? 0)) return;
    this.session?.send(control);
  }

  private aimOf(slot: number): Aim {
    const { camera, source } = this.wishes[slot] ?? NO_WISH;
    return { type: "aim", slot, camera, profile: "auto", source };
  }

  private sizeOf(slot: number): Size {
    const { widthPx, heightPx } = this.wishes[slot] ?? NO_WISH;
    return { type: "size", slot, width_px: widthPx, height_px: heightPx };
  }

  /** Opens a new session beside the present one, which goes when the new one is connected. */
  private renew(): void {
    if (this.opening || this.stopped || this.retry !== null) return;
    this.opening = true;
    void this.attempt();
  }

  private async attempt(): Promise<void> {
    const slots = this.wantedSlots;
    const all = Array.from({ length: slots }, (_, slot) => slot);
    let sent = new SentState([]);
    const opening = () => {
      const slots = all.map((slot) => this.aimOf(slot));
      const sizes = all.map((slot) => this.sizeOf(slot)).filter((size) => size.width_px > 0);
      sent = new SentState([...slots, ...sizes, { type: "listen", slot: null }]);
      return { slots, sizes };
    };
    let session: Session | null = null;
    let connected = false;
    let settled = false;
    let controllable = false;
    /** The last command that this session knows the outcome of; null before it was told any. */
    let said: number | null = null;
    /** The last command that its relay has answered. */
    let held = 0;
    /** The new session's notices before it took over. */
    const early: Notice[] = [];
    const sayNews = () => {
      if (!session || !controllable) return;
      this.sendWishes(session, sent);
      if (said !== this.command) this.sayClock(session);
      said = this.command;
    };
    const settle = (ok: boolean) => {
      if (settled) return;
      settled = true;
      this.opening = false;
      if (ok && session) {
        sayNews();
        this.takeOver(session, early);
      } else this.failed(this.noPath(session !== null));
    };
    const events: SessionEvents = {
      connected: () => {
        connected = true;
        if (session) settle(true);
      },
      controllable: () => {
        controllable = true;
        // Messages may have been lost with the broken socket.
        if (said !== null) {
          sent = new SentState([]);
          said = held;
        }
        sayNews();
      },
      notice: (notice) => {
        if (notice.type === "clock") held = notice.number;
        if (!session || session !== this.session) {
          early.push(notice);
          return;
        }
        this.onNotice(notice);
      },
      gone: (noNetwork = false) => {
        this.noNetwork = noNetwork;
        settle(false);
        if (session && session === this.session) this.lost();
      },
    };
    try {
      session = await this.open(slots, opening, events);
    } catch (error) {
      settled = true;
      this.opening = false;
      this.failed(error instanceof ApiError && error.status === 503 ? "full" : "lost");
      return;
    }
    if (this.stopped) session.close();
    else if (connected) settle(true);
    else if (!settled) {
      sayNews();
      // No session shows pictures: the tiles take the new tracks while the connection is made.
      if (!this.session) {
        this.waiting = true;
        this.adopt(session, early);
      }
    }
  }

  private takeOver(session: Session, early: Notice[]): void {
    this.waiting = false;
    this.unreached = 0;
    this.noNetwork = false;
    if (session !== this.session) this.adopt(session, early);
    this.backoff.reset();
    this.setPhase("open");
    if (session.slots < this.wantedSlots || this.drained) this.renew();
  }

  private adopt(session: Session, early: Notice[]): void {
    const before = this.session;
    this.session = session;
    this.drained = false;
    this.events.replaced();
    for (const notice of early.splice(0)) this.onNotice(notice);
    before?.close();
  }

  /**
   * Another session takes this one's place, which may be over without having said so, as after the computer's sleep.
   * Until then no picture counts as fresh: what is still decoded is as old as the sleep.
   */
  startAnew(): void {
    const { session } = this;
    if (session === null) return;
    this.lost();
    session.close();
  }

  private lost(): void {
    this.session = null;
    this.waiting = false;
    this.quality.set(null);
    this.events.replaced();
    this.setPhase(this.whyLost);
    this.renew();
  }

  /** Counts sessions in a row that the server took and that were never connected: then it is the network between. */
  private noPath(taken: boolean): LostPhase {
    this.unreached = taken ? this.unreached + 1 : 0;
    return this.whyLost;
  }

  private get whyLost(): LostPhase {
    if (this.noNetwork) return "no-network";
    return this.unreached >= NO_PATH_ATTEMPTS ? "no-path" : "lost";
  }

  private failed(phase: LostPhase | "full"): void {
    if (this.stopped) return;
    if (!this.session) this.setPhase(phase);
    this.retry = setTimeout(() => {
      this.retry = null;
      this.renew();
    }, this.backoff.next());
  }

  private setPhase(phase: LinkPhase): void {
    if (this.link.value.phase !== phase) this.link.set({ phase, sinceMs: siteNow() });
  }

  private sendWishes(session: Session, sent: SentState): void {
    const slots = Array.from({ length: session.slots }, (_, slot) => slot);
    const wishes: Control[] = slots.flatMap((slot) => [this.aimOf(slot), this.sizeOf(slot)]);
    for (const control of [...wishes, { type: "listen", slot: this.listening } as const]) {
      if (sent.isNews(control)) session.send(control);
    }
  }

  /** A new session's clock goes on where the old one's stood. */
  private sayClock(session: Session): void {
    const clock = this.clock.value;
    if (!clock || !this.wishes.some((wish) => wish.source === "recorded")) return;
    const { at_us, rate, playing } = clock;
    const number = this.command;
    session.send(
      playing
        ? { type: "clock", action: "play", at_us, rate, number }
        : { type: "clock", action: "seek", at_us, number },
    );
  }

  private onNotice(notice: Notice): void {
    if (notice.type === "drain") {
      this.drained = true;
      this.backoff.reset();
      this.renew();
    } else if (notice.type === "link") this.quality.set(notice);
    else if (notice.type === "clock") {
      if (notice.number < this.command) return;
      this.clock.set({ ...notice, receivedMs: siteNow() });
    }
    this.events.notice(notice);
  }
}
