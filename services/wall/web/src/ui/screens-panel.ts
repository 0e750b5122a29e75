/** The wall screens: what each shows, sending walls and cameras to them, and their tours. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { ApiError } from "../api/client.js";
import type { ScreenView, Tour } from "../api/generated.js";
import type { App } from "../app/app.js";
import { problemText } from "../app/problem.js";
import { language, t } from "../i18n/index.js";
import { sinceTime } from "../model/format.js";
import { siteNow } from "../model/site-clock.js";
import { tileAt, wallCameras } from "../model/wall.js";
import { accepts, dropped } from "./drag.js";
import { icon } from "./icons.js";
import { form, shared } from "./styles.js";
import { Watch } from "./watch.js";

const READ_MS = 3000;
const NAMES_SHOWN = 4;
const DWELL_SECONDS = 15;
/** In place of saved walls: each camera of the wall by itself. */
const EACH_CAMERA = "each-camera";

@customElement("pantau-screens-panel")
export class ScreensPanel extends LitElement {
  static override styles = [
    shared,
    form,
    css`
      :host {
        display: flex;
        flex-direction: column;
        gap: 10px;
        width: 340px;
        height: 100%;
        min-height: 0;
        padding: 12px;
        overflow: auto;
        background: var(--panel);
        border-left: 1px solid var(--line);
      }
      @media (max-width: 760px) {
        :host {
          width: 100%;
        }
      }
      .head {
        display: flex;
        align-items: center;
        justify-content: space-between;
      }
      h2 {
        margin: 0;
        font-size: 17px;
        font-weight: 600;
      }
      h3 {
        margin: 0;
        font-size: 15px;
        font-weight: 600;
      }
      article {
        display: grid;
        gap: 6px;
        padding: 10px 12px;
        border: 1px solid var(--line);
        border-radius: 8px;
        background: var(--raised);
      }
      article.target {
        outline: 3px dashed var(--focus);
      }
      .state {
        color: var(--text-dim);
        font-size: 13px;
      }
      .state.here {
        color: var(--good);
      }
      .actions {
        display: flex;
        flex-wrap: wrap;
        gap: 4px;
      }
      .title {
        display: flex;
        justify-content: space-between;
        gap: 8px;
      }
      .title span:first-child {
        min-width: 0;
        overflow-wrap: anywhere;
      }
      .empty {
        color: var(--text-soft);
      }
      form {
        display: grid;
        gap: 8px;
      }
    `,
  ];

  @property({ attribute: false }) app!: App;
  @state() private screens: readonly ScreenView[] | null = null;
  @state() private tours: readonly Tour[] = [];
  @state() private target: string | null = null;
  @state() private problem = "";
  @state() private said = "";
  private timer: ReturnType<typeof setInterval> | undefined;

  constructor() {
    super();
    new Watch(this, () => [this.app.cameras, this.app.wall, this.app.walls.layouts, this.app.me]);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.addEventListener("keydown", this.onKey);
    void this.read();
    void this.attempt(() => this.app.walls.read());
    this.timer = setInterval(() => void this.read(), READ_MS);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.timer);
  }

  private read(): Promise<void> {
    return this.attempt(async () => {
      [this.screens, this.tours] = await Promise.all([this.app.api.screens(), this.app.api.tours()]);
    });
  }

  private async attempt(what: () => Promise<void>, said = ""): Promise<void> {
    try {
      await what();
      this.problem = "";
      if (said) this.said = said;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.problem = t("dialog.failed", { detail: problemText(error) });
    }
  }

  /** Does something to a screen, and reads them again. */
  private async order(what: () => Promise<unknown>, said: string): Promise<void> {
    await this.attempt(async () => {
      await what();
    }, said);
    await this.read();
  }

  private sendWall({ id }: ScreenView): Promise<void> {
    return this.order(() => this.app.sendWall(id), t("screens.sent", { screen: id }));
  }

  private sendCamera(screen: ScreenView, camera: string): Promise<void> {
    return this.order(() => this.app.sendCamera(screen, camera), t("screens.sent", { screen: screen.id }));
  }

  /** A digit sends the wall to that screen. */
  private readonly onKey = (event: KeyboardEvent) => {
    const screen = this.screens?.[Number(event.key) - 1];
    const [target] = event.composedPath();
    const typing = target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
    if (!/^[1-9]$/.test(event.key) || event.ctrlKey || typing) return;
    event.stopPropagation();
    if (screen) void this.sendWall(screen);
  };

  private readonly onDragOver = (event: DragEvent, id: string) => {
    if (!accepts(event)) return;
    event.preventDefault();
    this.target = id;
  };

  private onDrop(event: DragEvent, screen: ScreenView): void {
    this.target = null;
    const what = dropped(event);
    if (!what) return;
    event.preventDefault();
    const camera = what.kind === "camera" ? what.id : tileAt(this.app.wall.value, what.index).camera;
    if (camera !== null) void this.sendCamera(screen, camera);
  }

  private shows(screen: ScreenView): string {
    if (screen.tour) return t("screens.tour", { tour: screen.tour });
    const ids = (screen.wall?.tiles ?? []).flatMap(({ camera }) => (camera === null ? [] : [camera]));
    if (ids.length === 0) return t("screens.nothing");
    const names = ids.slice(0, NAMES_SHOWN).map((id) => this.app.camera(id)?.name ?? id);
    return ids.length > NAMES_SHOWN ? `${names.join(", ")} +${ids.length - NAMES_SHOWN}` : names.join(", ");
  }

  private card(screen: ScreenView, index: number): TemplateResult {
    const selected = tileAt(this.app.wall.value, this.app.wall.value.selected).camera;
    const since = sinceTime(screen.sent_us / 1000, siteNow(), language.value);
    return html`<article data-screen=${screen.id} class=${this.target === screen.id ? "target" : ""}
      @dragover=${(event: DragEvent) => this.onDragOver(event, screen.id)}
      @dragleave=${() => {
        this.target = null;
      }}
      @drop=${(event: DragEvent) => this.onDrop(event, screen)}>
      <div class="title">
        <h3>${index < 9 ? `${index + 1}. ` : ""}${screen.id}</h3>
        <span class="state ${screen.here ? "here" : ""}">${t(screen.here ? "screens.here" : "screens.away")}</span>
      </div>
      <span>${this.shows(screen)}</span>
      ${screen.sent_us > 0 ? html`<span class="state">${t("screens.by", { name: screen.sent_by, since })}</span>` : nothing}
      <div class="actions">
        <button class="plain send" @click=${() => this.sendWall(screen)}>${t("screens.send")}</button>
        ${
          selected === null
            ? nothing
            : html`<button class="plain" @click=${() => this.sendCamera(screen, selected)}>${t("screens.send-camera")}</button>`
        }
        ${
          screen.wall || screen.tour
            ? html`<button class="plain" @click=${() => this.order(() => this.app.api.showOnScreen(screen.id, {}), "")}>
                ${t("screens.clear")}
              </button>`
            : nothing
        }
        ${
          !screen.here && this.app.may("supervisor")
            ? html`<button class="plain" @click=${() => this.order(() => this.app.api.removeScreen(screen.id), "")}>
                ${t("screens.forget")}
              </button>`
            : nothing
        }
      </div>
      ${this.tourChoice(screen)}
    </article>`;
  }

  private tourChoice(screen: ScreenView): TemplateResult | typeof nothing {
    if (this.tours.length === 0) return nothing;
    return html`<select aria-label=${t("screens.start-tour")} @change=${(event: Event) => {
      const select = event.target as HTMLSelectElement;
      const tour = this.tours[select.selectedIndex - 1];
      select.selectedIndex = 0;
      if (tour) void this.order(() => this.app.api.showOnScreen(screen.id, { tour: tour.id }), "");
    }}>
      <option>${t("screens.start-tour")}</option>
      ${this.tours.map((tour) => html`<option>${tour.name}</option>`)}
    </select>`;
  }

  private async saveTour(event: Event): Promise<void> {
    event.preventDefault();
    const target = event.target as HTMLFormElement;
    const data = new FormData(target);
    const dwell_seconds = Number(data.get("dwell")) || DWELL_SECONDS;
    const chosen = data.getAll("stop").map(String);
    const cameras = chosen.includes(EACH_CAMERA) ? wallCameras(this.app.wall.value) : [];
    const steps = [
      ...chosen.filter((id) => id !== EACH_CAMERA).map((layout) => ({ layout, dwell_seconds })),
      ...cameras.map((camera) => ({ cameras: [camera], dwell_seconds })),
    ];
    const name = String(data.get("name") ?? "").trim();
    if (!name || steps.length === 0) {
      this.problem = t("tours.incomplete");
      return;
    }
    await this.order(() => this.app.api.saveTour({ name, steps }), t("tours.saved", { name }));
    target.reset();
  }

  private tourForm(): TemplateResult {
    const layouts = this.app.walls.layouts.value ?? [];
    return html`<h3>${t("tours.title")}</h3>
      ${this.tours.map(
        (tour) => html`<div class="title"><span>${tour.name} · ${t("tours.stops", { count: tour.steps.length })}</span>
          ${
            this.app.mayChange(tour)
              ? html`<button class="icon-only" aria-label=${t("walls.remove.of", { name: tour.name })} title=${t("walls.remove")}
                  @click=${() => this.order(() => this.app.api.removeTour(tour.id), "")}>${icon("close")}</button>`
              : nothing
          }</div>`,
      )}
      <form @submit=${(event: Event) => this.saveTour(event)}>
        <label>${t("walls.name")}<input name="name" maxlength="80" /></label>
        <label>${t("tours.dwell")}<input name="dwell" type="number" min="2" max="3600" value=${DWELL_SECONDS} /></label>
        <label class="check"><input type="checkbox" name="stop" value=${EACH_CAMERA} />${t("tours.each-camera")}</label>
        ${layouts.map(
          (layout) =>
            html`<label class="check"><input type="checkbox" name="stop" value=${layout.id} />${layout.name}</label>`,
        )}
        <button class="plain">${t("tours.save")}</button>
      </form>`;
  }

  private cards(): TemplateResult | TemplateResult[] {
    if (this.screens === null) return html`<p class="empty" role="status">${t("screens.loading")}</p>`;
    if (this.screens.length === 0) return html`<p class="empty">${t("screens.none")}</p>`;
    return this.screens.map((screen, index) => this.card(screen, index));
  }

  override render(): TemplateResult {
    return html`
      <div class="head">
        <h2>${t("bar.screens")}</h2>
        <button class="icon-only" aria-label=${t("dialog.close")} title=${t("dialog.close")}
          @click=${() => this.app.show({ screens: false })}>${icon("close")}</button>
      </div>
      ${this.problem ? html`<p class="error" role="alert">${this.problem}</p>` : nothing}
      <span class="hint" role="status">${this.said}</span>
      ${this.cards()}
      <p class="hint">${t("screens.hint", { address: `${location.origin}/screen/layar-1` })}</p>
      ${this.tourForm()}
    `;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-screens-panel": ScreensPanel;
  }
}
