/** "Place and time": what happened there and then, for a clerk with a citizen beside. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import type { CameraView } from "../api/generated.js";
import type { App } from "../app/app.js";
import { copyText } from "../app/copy-text.js";
import { t } from "../i18n/index.js";
import {
  camerasAt,
  momentOfFields,
  type NearCamera,
  NO_FIELDS,
  type PlaceFields,
  parsePoint,
  stillMoments,
  WIDTHS_SECONDS,
} from "../model/place-time.js";
import { siteNow } from "../model/site-clock.js";
import { encode } from "../model/url-state.js";
import { setSource, showCameras } from "../model/wall.js";
import { icon } from "./icons.js";
import type { Modal } from "./modal.js";
import { form, shared } from "./styles.js";
import { Watch } from "./watch.js";
import "./modal.js";
import "./place-strip.js";

interface Answer {
  atMs: number;
  widthSeconds: number;
  moments: number[];
  cameras: NearCamera[];
}

@customElement("pantau-place-dialog")
export class PlaceDialog extends LitElement {
  static override styles = [
    shared,
    form,
    css`
      pantau-modal {
        --modal-width: 1080px;
      }
      form {
        display: grid;
        grid-template-columns: minmax(0, 2fr) 110px 110px 130px auto auto;
        gap: 10px;
        align-items: end;
      }
      article {
        display: grid;
        gap: 6px;
        margin-top: 14px;
      }
      .name {
        display: flex;
        align-items: center;
        gap: 8px;
        font-weight: 600;
      }
      .name span {
        color: var(--text-dim);
        font-weight: 400;
      }
      .pick {
        min-width: 44px;
      }
      .pick-name {
        display: none;
      }
      @media (max-width: 760px) {
        form {
          grid-template-columns: minmax(0, 1fr) minmax(0, 1fr);
        }
        form > label:first-child {
          grid-column: 1 / -1;
        }
        .pick {
          grid-column: 1 / -1;
        }
        .pick-name {
          display: inline;
        }
      }
    `,
  ];

  @property({ attribute: false }) app!: App;
  @property({ attribute: false }) fields: PlaceFields = NO_FIELDS;
  @query("pantau-modal") private modal!: Modal;
  @query("form") private asking!: HTMLFormElement;
  @query("input[name=place]") private place!: HTMLInputElement;
  @query("input[name=day]") private day!: HTMLInputElement;
  @query("input[name=time]") private time!: HTMLInputElement;
  @query("select") private wide!: HTMLSelectElement;
  @state() private answer: Answer | null = null;
  @state() private chosen: ReadonlySet<string> = new Set();
  @state() private problem = "";
  @state() private copied = false;

  constructor() {
    super();
    new Watch(this, () => [this.app.cameras, this.app.me]);
  }

  protected override firstUpdated(): void {
    if (parsePoint(this.fields.place)) void this.goOn();
  }

  /** A point was picked: the form is sent, or asks for what is missing. */
  private async goOn(): Promise<void> {
    await this.modal.updateComplete;
    if (this.fields.time) this.asking.requestSubmit();
    else this.time.focus();
  }

  private get widthSeconds(): number {
    return WIDTHS_SECONDS[this.wide.selectedIndex] ?? WIDTHS_SECONDS[0];
  }

  private readonly pick = () => {
    const { place, day, time, widthSeconds } = this;
    this.app.pickPlace({ place: place.value, day: day.value, time: time.value, widthSeconds });
  };

  private readonly close = () => this.app.show({ dialog: null });

  private look(event: Event): void {
    event.preventDefault();
    const atMs = momentOfFields(this.day.value, this.time.value, siteNow());
    const cameras = camerasAt([...(this.app.cameras.value?.values() ?? [])], this.place.value);
    this.copied = false;
    this.answer = null;
    if (this.place.value.trim() === "") this.problem = t("place.no-place");
    else if (atMs === null) this.problem = t("place.no-time");
    else if (atMs > siteNow()) this.problem = t("place.future");
    else if (cameras.length === 0) this.problem = t("list.nothing", { query: this.place.value });
    else {
      this.problem = "";
      const { widthSeconds } = this;
      this.answer = { atMs, widthSeconds, moments: stillMoments(atMs, widthSeconds, siteNow()), cameras };
      this.chosen = new Set(cameras.map(({ camera }) => camera.id));
    }
  }

  /** A camera without footage takes no part in what is played together, unless it is chosen by hand. */
  private onLooked(id: string, event: Event): void {
    if ((event as CustomEvent<boolean>).detail) return;
    this.chosen = new Set([...this.chosen].filter((each) => each !== id));
  }

  private get cameras(): string[] {
    return (this.answer?.cameras ?? []).map(({ camera }) => camera.id).filter((id) => this.chosen.has(id));
  }

  private play(atMs: number): void {
    const { app, answer } = this;
    if (!answer || this.cameras.length === 0) return;
    const widthMs = answer.widthSeconds * 1000;
    app.wall.update((wall) => showCameras(wall, this.cameras));
    app.playback.range.set({ fromMs: answer.atMs - widthMs, toMs: Math.min(answer.atMs + widthMs, siteNow()) });
    app.show({ dialog: null, timeline: true });
    app.playback.seek(atMs);
  }

  private openAt(id: string, event: Event): void {
    this.chosen = new Set([...this.chosen, id]);
    this.play((event as CustomEvent<number>).detail);
  }

  private makeIncident(): void {
    if (!this.answer) return;
    this.play(this.answer.atMs);
    this.app.show({ dialog: { kind: "incident", incident: null } });
  }

  private async copyLink(): Promise<void> {
    if (!this.answer) return;
    const wall = setSource(showCameras(this.app.wall.value, this.cameras), "recorded");
    const link = `${location.origin}/#${encode({ wall, atMs: this.answer.atMs })}`;
    // Where it is refused the link is in the address bar as soon as it is played.
    this.copied = await copyText(link);
  }

  private row({ camera, metres }: NearCamera, answer: Answer): TemplateResult {
    return html`<article data-camera=${camera.id}>
      <label class="check name">
        <input type="checkbox" .checked=${this.chosen.has(camera.id)} @change=${(event: Event) => {
          const others = [...this.chosen].filter((id) => id !== camera.id);
          this.chosen = new Set((event.target as HTMLInputElement).checked ? [...others, camera.id] : others);
        }} />
        ${camera.name}
        <span>${metres === null || metres < 1 ? addressOf(camera) : t("place.metres", { metres: Math.round(metres) })}</span>
      </label>
      <pantau-place-strip .app=${this.app} .camera=${camera.id} .moments=${answer.moments} .atMs=${answer.atMs}
        @looked=${(event: Event) => this.onLooked(camera.id, event)}
        @chosen=${(event: Event) => this.openAt(camera.id, event)}></pantau-place-strip>
    </article>`;
  }

  override render(): TemplateResult {
    const { answer, fields } = this;
    const none = this.cameras.length === 0;
    return html`<pantau-modal .heading=${t("place.title")} .actions=${answer !== null} @close=${this.close}>
      <form @submit=${(event: Event) => this.look(event)}>
        <label>${t("place.where")}<input name="place" autocomplete="off" spellcheck="false" placeholder=${t("place.where.hint")} value=${fields.place} /></label>
        <label>${t("place.day")}<input name="day" inputmode="numeric" autocomplete="off" placeholder=${t("place.day.hint")} value=${fields.day} /></label>
        <label>${t("place.time")}<input name="time" inputmode="numeric" autocomplete="off" placeholder="19.55" value=${fields.time} /></label>
        <label>${t("place.wide")}<select name="width">
          ${WIDTHS_SECONDS.map((seconds) => html`<option ?selected=${seconds === fields.widthSeconds}>${seconds < 60 ? t("place.seconds", { count: seconds }) : t("place.minutes", { count: seconds / 60 })}</option>`)}
        </select></label>
        <button class="primary">${t("place.look")}</button>
        <button type="button" class="plain pick" title=${t("place.pick")} aria-label=${t("place.pick")} @click=${this.pick}>
          ${icon("map")}<span class="pick-name">${t("place.pick")}</span>
        </button>
      </form>
      ${this.problem ? html`<p class="error" role="alert">${this.problem}</p>` : nothing}
      ${answer ? answer.cameras.map((each) => this.row(each, answer)) : nothing}
      <button slot="actions" class="plain" ?disabled=${none} @click=${() => this.copyLink()}>
        ${t(this.copied ? "place.copied" : "walls.link")}
      </button>
      ${
        this.app.may("operator")
          ? html`<button slot="actions" class="plain" ?disabled=${none} @click=${() => this.makeIncident()}>${t("play.incident")}</button>`
          : nothing
      }
      <button slot="actions" class="primary" ?disabled=${none} @click=${() => answer && this.play(answer.atMs)}>
        ${t("place.play", { count: this.cameras.length })}
      </button>
    </pantau-modal>`;
  }
}

/** Unless it repeats the name. */
function addressOf({ name, location }: CameraView): string {
  return location.address === name ? "" : location.address;
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-place-dialog": PlaceDialog;
  }
}
