/** Another version of the server: its page is to be loaded, but not under an operator's hands. */

import { Observable } from "../model/observable.js";

/** Nobody touched the page for so long. */
export const IDLE_MS = 300_000;

export class VersionWatch {
  /** The server has another version than the one that this page came from. */
  readonly outdated = new Observable(false);
  private version: string | null = null;
  private touchedMs: number;

  constructor(
    private readonly now: () => number = () => Date.now(),
    private readonly reload: () => void = () => location.reload(),
  ) {
    this.touchedMs = now();
  }

  told(version: string): void {
    this.version ??= version;
    if (version !== this.version) this.outdated.set(true);
  }

  touched(): void {
    this.touchedMs = this.now();
  }

  /** Call it now and then: loads the new page while nobody is there. `busy`: a recording is looked at. */
  look(busy: boolean): void {
    if (this.outdated.value && !busy && this.now() - this.touchedMs >= IDLE_MS) this.reload();
  }
}
