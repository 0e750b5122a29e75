import { describe, expect, it } from "vitest";
import { IdleLock } from "../src/app/idle-lock.js";

function begin() {
  const kept = new Map<string, string>();
  const storage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, text: string) => void kept.set(key, text),
    removeItem: (key: string) => void kept.delete(key),
  };
  const clock = { ms: 0 };
  const page = () => new IdleLock(storage, () => clock.ms);
  return { clock, page };
}

describe("the lock after idle", () => {
  it("comes when nobody has touched the page for the chosen minutes, and only where there are accounts", () => {
    const { clock, page } = begin();
    const lock = page();
    clock.ms = 3_600_000;
    lock.look("session-1");
    expect(lock.locked.value).toBe(false);
    lock.setMinutes(5);
    lock.touched();
    clock.ms += 299_999;
    lock.look("session-1");
    expect(lock.locked.value).toBe(false);
    clock.ms += 1;
    lock.look("");
    expect(lock.locked.value).toBe(false);
    lock.look("session-1");
    expect(lock.locked.value).toBe(true);
  });

  it("holds on every page of the browser, and when it is loaded again, until one is unlocked", () => {
    const { page } = begin();
    const [lock, other] = [page(), page()];
    lock.lock("session-1");
    other.follow();
    expect([other.locked.value, page().locked.value]).toEqual([true, true]);
    other.unlock();
    lock.follow();
    expect([lock.locked.value, page().locked.value]).toEqual([false, false]);
  });

  it("does not come on a page that lies beside the one at which somebody works", () => {
    const { clock, page } = begin();
    const [worked, beside] = [page(), page()];
    worked.setMinutes(5);
    beside.follow();
    clock.ms = 299_000;
    worked.touched();
    clock.ms = 301_000;
    beside.look("session-1");
    expect(worked.locked.value || beside.locked.value).toBe(false);
    clock.ms = 600_000;
    beside.look("session-1");
    expect(beside.locked.value).toBe(true);
  });

  it("is over for a person who has signed in anew", () => {
    const lock = begin().page();
    lock.lock("session-1");
    lock.signedIn("session-1");
    expect(lock.locked.value).toBe(true);
    lock.signedIn("session-2");
    expect(lock.locked.value).toBe(false);
  });
});
