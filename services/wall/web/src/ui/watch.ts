/** Renders a component again when one of the given observables changes, while it is in the document. */

import type { ReactiveController, ReactiveControllerHost } from "lit";
import { language } from "../i18n/index.js";
import type { Observable } from "../model/observable.js";
import { siteZone } from "../model/zone.js";

export class Watch implements ReactiveController {
  private endings: (() => void)[] = [];

  /** `sources` is asked when the component connects; the language and the site's zone are always watched. */
  constructor(
    private readonly host: ReactiveControllerHost,
    private readonly sources: () => readonly Pick<Observable<unknown>, "subscribe">[],
  ) {
    host.addController(this);
  }

  hostConnected(): void {
    this.endings = [language, siteZone, ...this.sources()].map((source) =>
      source.subscribe(() => this.host.requestUpdate()),
    );
  }

  hostDisconnected(): void {
    for (const end of this.endings.splice(0)) end();
  }
}
