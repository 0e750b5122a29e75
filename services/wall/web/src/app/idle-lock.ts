/** The lock after idle: the page shows nothing until the person who is signed in gives their password again. */

import { Observable } from "../model/observable.js";

const MINUTES_KEY = "pantau.lock.minutes";
const LOCKED_KEY = "pantau.locked";
const TOUCHED_KEY = "pantau.touched";
export const LOCK_MINUTES = [0, 5, 15, 30] as const;

export class IdleLock {
  /** The other pages of this browser are locked with it, and a page that is loaded again stays locked. */
  readonly locked: Observable<boolean>;
  /** 0: never. */
  readonly minutes: Observable<number>;

  constructor(
    private readonly storage: Pick<Storage, "getItem" | "setItem" | "removeItem">,
    private readonly now: () => number = () => Date.now(),
  ) {
    this.locked = new Observable(storage.getItem(LOCKED_KEY) !== null);
    this.minutes = new Observable(this.minutesKept);
    this.touched();
  }

  private get minutesKept(): number {
    return Number(this.storage.getItem(MINUTES_KEY) ?? 0);
  }

  setMinutes(minutes: number): void {
    this.storage.setItem(MINUTES_KEY, String(minutes));
    this.minutes.set(minutes);
  }

  /** Who works on one page of the browser is there for all of them. */
  touched(): void {
    this.storage.setItem(TOUCHED_KEY, String(this.now()));
  }

  /** Call it now and then. `session`: the sign-in's id; empty where there are no accounts, so no password either. */
  look(session: string): void {
    const { value } = this.minutes;
    const idleMs = this.now() - Number(this.storage.getItem(TOUCHED_KEY) ?? 0);
    if (session !== "" && value > 0 && idleMs >= value * 60_000) this.lock(session);
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

  /** Another page of this browser has been locked, unlocked or told when to lock. */
  follow(): void {
    this.minutes.set(this.minutesKept);
    this.locked.set(this.storage.getItem(LOCKED_KEY) !== null);
  }
}
