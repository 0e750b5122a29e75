/** The last picture that was recorded of a camera, small, with its time. */

import { css, html, LitElement, type PropertyValues, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { ApiError } from "../api/client.js";
import type { App } from "../app/app.js";
import { language, t } from "../i18n/index.js";
import { momentTime } from "../model/format.js";
import { siteNow } from "../model/site-clock.js";
import { icon } from "./icons.js";
import { ShownStills } from "./shown-stills.js";
import { shared } from "./styles.js";
import { Watch } from "./watch.js";

const WIDTH_PX = 160;
/** Stills are decoded by the server one after the other: a board asks for few at once, those in view first. */
const AT_ONCE = 2;
const waiting: (() => void)[] = [];
let running = 0;

async function inTurn<T>(what: () => Promise<T>): Promise<T> {
  if (running >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  running += 1;
  try {
    return await what();
  } finally {
    running -= 1;
    waiting.shift()?.();
  }
}

/** Fires `chosen` with the picture's moment, Unix ms. */
@customElement("pantau-last-picture")
export class LastPicture extends LitElement {
  static override styles = [
    shared,
    css`
      :host {
        display: block;
        width: 96px;
        height: 54px;
      }
      .frame {
        display: grid;
        place-items: center;
        width: 100%;
        height: 100%;
        min-height: 0;
        padding: 0;
        overflow: hidden;
        border-radius: 4px;
        background: var(--screen);
        color: var(--text-dim);
      }
      img {
        width: 100%;
        height: 100%;
        object-fit: cover;
      }
    `,
  ];

  @property({ attribute: false }) app!: App;
  @property() camera = "";
  @property() name = "";
  /** When it was taken, as far as that is known; null: the newest. */
  @property({ attribute: false }) atMs: number | null = null;
  @state() private url: string | null = null;
  @state() private takenMs: number | null = null;
  private readonly stills = new ShownStills(this);

  constructor() {
    super();
    new Watch(this, () => []);
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("camera") || changed.has("atMs")) void this.read();
  }

  private async read(): Promise<void> {
    const { wanted, show } = this.stills.ask();
    this.url = this.takenMs = null;
    const found = await inTurn(async () => (wanted() ? this.find(this.atMs ?? siteNow()) : null));
    if (found === null || !wanted()) return;
    this.url = show(found.still);
    this.takenMs = found.takenMs;
  }

  /** At that moment, else where the server says that the nearest footage is. */
  private async find(atMs: number): Promise<{ still: Blob; takenMs: number } | null> {
    let moment: number | null = atMs;
    for (let tries = 0; tries < 2 && moment !== null; tries++) {
      try {
        const still: Blob = await this.app.api.still(this.camera, moment, WIDTH_PX, false);
        return { still, takenMs: moment };
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        moment = error.nearestMs;
      }
    }
    return null;
  }

  override render(): TemplateResult {
    const { url, takenMs } = this;
    if (url === null || takenMs === null) return html`<div class="frame">${icon("still")}</div>`;
    const label = t("health.picture.of", { name: this.name, time: momentTime(takenMs, siteNow(), language.value) });
    return html`<button class="frame" title=${label} aria-label=${label}
      @click=${() => this.dispatchEvent(new CustomEvent("chosen", { detail: takenMs }))}><img src=${url} alt="" /></button>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-last-picture": LastPicture;
  }
}
