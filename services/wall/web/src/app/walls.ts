/** Saved walls: reading, opening and saving them. */

import { type Api, ApiError } from "../api/client.js";
import type { Layout, LayoutInput } from "../api/generated.js";
import { Observable } from "../model/observable.js";
import { arrangementOf, onKey, wallOf } from "../model/saved-wall.js";
import { type WallState, wallCameras } from "../model/wall.js";

/** The page's beginning does not wait longer for the wall that was opened last. */
const BEGIN_MS = 2000;

export class SavedWalls {
  /** Null until they were read once. */
  readonly layouts = new Observable<readonly Layout[] | null>(null);
  /** The one that was opened or saved last on this page. */
  readonly opened = new Observable<Layout | null>(null);

  constructor(
    private readonly api: Api,
    private readonly wall: Observable<WallState>,
    /** Who is signed in. */
    private readonly me: () => string,
  ) {}

  /** Reads them; raises `ApiError`. */
  async read(): Promise<void> {
    this.layouts.set((await this.api.layouts()).layouts);
  }

  /** Opens the wall that the address names, else this person's last one where the address names nothing. */
  async begin(named: string | null, last: boolean): Promise<void> {
    if (named === null && !last) return;
    const waiting = new Promise<void>((resolve) => setTimeout(resolve, BEGIN_MS));
    await Promise.race([this.openAtBeginning(named), waiting]);
  }

  private async openAtBeginning(named: string | null): Promise<void> {
    try {
      const view = await this.api.layouts();
      this.layouts.set(view.layouts);
      const found = view.layouts.find(({ id }) => id === (named ?? view.last));
      if (found && this.wall.value.automatic) this.put(found);
    } catch (error) {
      // Without an answer the wall fills itself, as on a first visit.
      if (!(error instanceof ApiError)) throw error;
    }
  }

  /** Whether a wall that a link names is known not to be there. */
  lacks(id: string): boolean {
    return this.layouts.value?.every((layout) => layout.id !== id) ?? false;
  }

  open(layout: Layout): void {
    this.put(layout);
    this.api.openLayout(layout.id).catch(() => undefined);
  }

  private put(layout: Layout): void {
    this.wall.set(wallOf(layout));
    this.opened.set(layout);
  }

  /** False where no wall lies on the key. */
  async openByKey(key: number): Promise<boolean> {
    if (this.layouts.value === null) await this.read().catch(() => undefined);
    const found = onKey(this.layouts.value ?? [], key, this.me());
    if (found) this.open(found);
    return found !== undefined;
  }

  /** Saves the wall as it is under a new name; raises `ApiError`. */
  async save(about: Pick<LayoutInput, "name" | "audience" | "role" | "key">): Promise<void> {
    const saved = await this.api.saveLayout({ ...about, ...arrangementOf(this.wall.value) });
    this.opened.set(saved);
    await this.read();
  }

  /**
   * Puts the wall as it is into a saved one, unless that is another by now than this page has opened or listed: the
   * answer is then when it was changed (Unix ms), nothing is saved, and the next time that one is written over. Raises
   * `ApiError`.
   */
  async saveOver(layout: Layout): Promise<number | null> {
    const opened = this.opened.value;
    const known = opened?.id === layout.id ? opened : layout;
    const { layout: present, revision } = await this.api.layout(layout.id);
    if (present.changed_us !== known.changed_us) return this.noteChanged(present);
    try {
      this.opened.set(await this.api.updateLayout(layout.id, arrangementOf(this.wall.value), revision));
    } catch (error) {
      if (!(error instanceof ApiError && error.code === "conflict")) throw error;
      return this.noteChanged((await this.api.layout(layout.id)).layout);
    }
    await this.read();
    return null;
  }

  private noteChanged(present: Layout): number {
    if (this.opened.value?.id === present.id) this.opened.set(present);
    this.layouts.update((layouts) => layouts?.map((each) => (each.id === present.id ? present : each)) ?? null);
    return present.changed_us / 1000;
  }

  /** Raises `ApiError`. */
  async remove(layout: Layout): Promise<void> {
    await this.api.removeLayout(layout.id);
    if (this.opened.value?.id === layout.id) this.opened.set(null);
    await this.read();
  }

  /** The name of the wall on the screen, while it is as it was saved. */
  get shownName(): string | null {
    const opened = this.opened.value;
    const same = opened && arranged(wallOf(opened)) === arranged(this.wall.value);
    return same && wallCameras(this.wall.value).length > 0 ? opened.name : null;
  }
}

function arranged(wall: WallState): string {
  return JSON.stringify(arrangementOf(wall));
}
