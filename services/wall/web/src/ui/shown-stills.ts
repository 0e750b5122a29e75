/** The server's stills that a component shows: the browser keeps each until its address is given back. */

import type { ReactiveController, ReactiveControllerHost } from "lit";

export interface Asking {
  /** Whether the component still wants what was asked for. */
  readonly wanted: () => boolean;
  /** The address of a still to show; null where it is not wanted any more. */
  readonly show: (still: Blob) => string | null;
}

export class ShownStills implements ReactiveController {
  private addresses: string[] = [];
  private asked = 0;

  constructor(host: ReactiveControllerHost) {
    host.addController(this);
  }

  /** Asks anew: all that was shown is given back, and nothing that was asked for before is wanted any more. */
  ask(): Asking {
    const asked = ++this.asked;
    for (const address of this.addresses.splice(0)) URL.revokeObjectURL(address);
    const wanted = () => asked === this.asked;
    return { wanted, show: (still) => (wanted() ? this.address(still) : null) };
  }

  private address(still: Blob): string {
    const address = URL.createObjectURL(still);
    this.addresses.push(address);
    return address;
  }

  hostDisconnected(): void {
    this.ask();
  }
}
