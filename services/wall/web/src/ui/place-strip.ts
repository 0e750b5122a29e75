/** One camera's stills around a moment; honest about a moment that has none, and why. */

import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { ApiError } from "../api/client.js";
import type { App } from "../app/app.js";
import { causeText, language, t } from "../i18n/index.js";
import { dateTime, momentTime } from "../model/format.js";
import { siteNow } from "../model/site-clock.js";
import { ShownStills } from "./shown-stills.js";
import { shared } from "./styles.js";
import { Watch } from "./watch.js";

const WIDTH_PX = 320;

interface Still {
  atMs: number;
  url: string | null;
}

/** Fires `chosen` with a moment (Unix ms) when a still, or the nearest footage, is clicked. */
@customElement("pantau-place-strip")
export class PlaceStrip extends LitElement {
  static override styles = [
    shared,
    css`
      :host {
        display: block;
      }
      .strip {
        display: grid;
        grid-template-columns: repeat(5, minmax(0, 1fr));
        gap: 4px;
      }
      .still {
        display: grid;
        gap: 2px;
        min-height: 44px;
        padding: 0;
        font-size: 12.5px;
        font-variant-numeric: tabular-nums;
      }
      .still.asked {
        outline: 2px solid var(--accent);
        color: var(--text);
      }
      img,
      .none {
        width: 100%;
        aspect-ratio: 16 / 9;
        object-fit: contain;
        background: var(--screen);
      }
      .none {
        display: grid;
        place-content: center;
        color: var(--text-dim);
      }
      .why {
        display: flex;
        align-items: center;
        gap: 8px;
        color: var(--warn);
        font-size: 13.5px;
      }
      @media (max-width: 760px) {
        .strip {
          grid-template-columns: repeat(2, minmax(0, 1fr));
        }
      }
    `,
  ];

  @property({ attribute: false }) app!: App;
  @property() camera = "";
  @property({ attribute: false }) moments: readonly number[] = [];
  @property({ attribute: false }) atMs = 0;
  @state() private stills: readonly Still[] = [];
  @state() private why = "";
  @state() private nearestMs: number | null = null;
  private readonly shown = new ShownStills(this);

  constructor() {
    super();
    new Watch(this, () => []);
  }

  protected override willUpdate(changed: PropertyValues<this>): void {
    if (changed.has("moments") || changed.has("camera")) void this.read();
  }

  private async read(): Promise<void> {
    const { wanted, show } = this.shown.ask();
    this.stills = this.moments.map((atMs) => ({ atMs, url: null }));
    this.why = "";
    this.nearestMs = null;
    // The asked moment first.
    const order = [...this.moments].sort((a, b) => Math.abs(a - this.atMs) - Math.abs(b - this.atMs));
    for (const atMs of order) {
      const still = await this.still(atMs);
      if (!wanted()) return;
      const url = still && show(still);
      this.stills = this.stills.map((still) => (still.atMs === atMs ? { atMs, url } : still));
    }
    this.dispatchEvent(new CustomEvent("looked", { detail: this.stills.some(({ url }) => url !== null) }));
  }

  private async still(atMs: number): Promise<Blob | null> {
    try {
      // To the picture, where the person may: the keyframe before it may be seconds older.
      const exact = atMs === this.atMs && this.app.may("operator");
      return await this.app.api.still(this.camera, atMs, WIDTH_PX, exact);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (atMs === this.atMs) await this.explain(error);
      return null;
    }
  }

  private async explain(error: ApiError): Promise<void> {
    this.nearestMs = error.nearestMs;
    if (error.code !== "no-footage") {
      this.why = t("place.failed");
      return;
    }
    const body = await this.app.api.timeline(this.camera, this.atMs - 1000, this.atMs + 1000).catch(() => null);
    const cause = body?.gaps[0]?.cause;
    this.why = cause ? t("timeline.gap", { cause: causeText(cause) }) : t("timeline.nothing");
  }

  private choose(atMs: number): void {
    this.dispatchEvent(new CustomEvent("chosen", { detail: atMs }));
  }

  override render(): TemplateResult {
    const nearest = this.nearestMs;
    return html`
      ${
        this.why
          ? html`<div class="why" role="status"><span>${this.why}</span>
              ${
                nearest === null
                  ? nothing
                  : html`<button class="plain" @click=${() => this.choose(nearest)}>
                      ${t("place.nearest", { time: dateTime(nearest, language.value) })}
                    </button>`
              }</div>`
          : nothing
      }
      <div class="strip">
        ${this.stills.map(({ atMs, url }) => {
          const time = momentTime(atMs, siteNow(), language.value);
          return html`<button class="still ${atMs === this.atMs ? "asked" : ""}" data-at=${atMs} ?disabled=${url === null}
            aria-label=${t("place.play-from", { time })} title=${t("place.play-from", { time })} @click=${() => this.choose(atMs)}>
            ${url === null ? html`<span class="none">–</span>` : html`<img src=${url} alt="" />`}
            <span>${time}</span>
          </button>`;
        })}
      </div>
    `;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-place-strip": PlaceStrip;
  }
}
