/** The lock after idle: the page shows nothing until the person who is signed in gives their password again. */

import { Observable } from "../model/observable.js";

const MINUTES_KEY = "pantau.lock.minutes";
const LOCKED_KEY = "pantau.locked";
export const LOCK_MINUTES = [0, 5, 15, 30] as const;

export class IdleLock {
  /** The other pages of this browser are locked with it, and a page that is loaded again stays locked. */
  readonly locked: Observable<boolean>;
  /** 0: never. */
  readonly minutes: Observable<number>;
  private touchedMs: number;

  constructor(
    private readonly storage: Pick<Storage, "getItem" | "setItem" | "removeItem">,
    private readonly now: () => number = () => Date.now(),
  ) {
    this.locked = new Observable(storage.getItem(LOCKED_KEY) !== null);
    this.minutes = new Observable(Number(storage.getItem(MINUTES_KEY) ?? 0));
    this.touchedMs = now();
  }

  setMinutes(minutes: number): void {
    this.storage.setItem(MINUTES_KEY, String(minutes));
    this.minutes.set(minutes);
  }

  touched(): void {
    this.touchedMs = this.now();
  }

  /** Call it now and then. `session`: the sign-in's id; empty where there are no accounts, so no password either. */
  look(session: string): void {
    const { value } = this.minutes;
    if (session !== "" && value > 0 && this.now() - this.touchedMs >= value * 60_000) this.lock(session);
  }

  lock(session: string): void {
    this.storage.setItem(LOCKED_KEY, session);
    this.locked.set(true);
  }

  /** Another sign-in than the one that was locked: its password was given just now. */
  signedIn(session: string): void {
    if (this.locked.value && this.storage.getItem(LOCKED_KEY) !== session) this.unlock();
  }

  unlock(): void {
    this.storage.removeItem(LOCKED_KEY);
    this.touched();
    this.locked.set(false);
  }

  /** Another page of this browser has been locked or unlocked. */
  follow(): void {
    if (this.storage.getItem(LOCKED_KEY) === null) this.touched();
    this.locked.set(this.storage.getItem(LOCKED_KEY) !== null);
  }
}
