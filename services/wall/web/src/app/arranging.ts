/** Undo and redo of the wall's arrangements, and the word that the page gives of each. */

import { type ChangeKey, changeKey, isNewWall, sameArrangement, WallHistory } from "../model/history.js";
import { Observable } from "../model/observable.js";
import type { WallState } from "../model/wall.js";

/** What was done to the wall, and what takes it back. */
export interface Arranged {
  what: ChangeKey;
  /** `done` can be undone; `undone` can be done again. */
  how: "done" | "undone";
}

export class Arranging {
  /** The last change. */
  readonly last = new Observable<Arranged | null>(null);
  private readonly history = new WallHistory();
  private shown: WallState;
  private beside: { after: WallState; takeBack: () => void } | null = null;
  private returning = false;

  constructor(private readonly wall: Observable<WallState>) {
    this.shown = wall.value;
  }

  /** The wall has changed; true where the browser's Back should lead to the one before. */
  onWall(): boolean {
    const before = this.shown;
    const after = this.wall.value;
    this.shown = after;
    if (this.returning || !this.history.note(before, after)) return false;
    this.last.set({ what: changeKey(before, after), how: "done" });
    return isNewWall(before, after);
  }

  /** The last change did more than arrange: `takeBack` is called when it is undone. */
  alsoUndo(takeBack: () => void): void {
    this.beside = { after: this.wall.value, takeBack };
  }

  undo(): void {
    const { beside } = this;
    const from = this.wall.value;
    this.comeBack(this.history.undo(from), "undone");
    if (beside === null || !sameArrangement(from, beside.after) || this.wall.value === from) return;
    this.beside = null;
    beside.takeBack();
  }

  redo(): void {
    this.comeBack(this.history.redo(this.wall.value), "done");
  }

  private comeBack(to: WallState | null, how: Arranged["how"]): void {
    if (!to) return;
    const from = this.wall.value;
    this.returning = true;
    this.wall.set(to);
    this.returning = false;
    this.last.set({ what: changeKey(how === "done" ? from : to, how === "done" ? to : from), how });
  }
}
