/** The camera list: states, search, and putting a camera on the wall by click, key or drag. */

import { html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { CameraView } from "../api/generated.js";
import type { App } from "../app/app.js";
import { reasonText, stateWords } from "../app/state-words.js";
import { language, t } from "../i18n/index.js";
import { counts, inFilter, type StatusFilter, statusOf, step, streamLine } from "../model/cameras.js";
import { localeOf } from "../model/format.js";
import { search } from "../model/search.js";
import { showCameras, wallCameras } from "../model/wall.js";
import { cameraListStyles } from "./camera-list.styles.js";
import { dragCamera } from "./drag.js";
import { icon } from "./icons.js";
import { statusMark } from "./status-mark.js";
import { shared } from "./styles.js";
import { VirtualRows } from "./virtual-rows.js";
import { Watch } from "./watch.js";

const MOST_TILES = 64;
/** As `camera-list.styles.ts` has it. */
const ROW_PX = 56;

@customElement("pantau-camera-list")
export class CameraList extends LitElement {
  static override styles = [shared, cameraListStyles];

  @property({ attribute: false }) app!: App;
  @state() private search = "";
  @state() private filter: StatusFilter = "all";
  @state() private current: string | null = null;
  @query("input") private box!: HTMLInputElement;
  private readonly rows: VirtualRows = new VirtualRows(
    this,
    () => this.renderRoot.querySelector<HTMLElement>("#list"),
    () => ROW_PX,
  );

  constructor() {
    super();
    new Watch(this, () => [this.app.cameras, this.app.seen, this.app.wall, this.app.me]);
  }

  focusSearch(): void {
    this.box.focus();
    this.box.select();
  }

  private shown(): CameraView[] {
    const all = [...(this.app.cameras.value?.values() ?? [])];
    const seen = this.app.seen.value;
    const filtered = all.filter((camera) => inFilter(camera, this.filter, seen));
    return search(filtered, this.search, (camera) => stateWords(camera, seen));
  }

  private onBoxKey(event: KeyboardEvent): void {
    const first = this.shown()[0]?.id;
    if (event.key === "ArrowDown") void this.focusRow(first ?? null);
    else if (event.key === "Enter" && first) this.app.place(first);
    else if (event.key === "Escape") {
      if (this.search) this.search = "";
      else this.box.blur();
    } else return;
    event.preventDefault();
  }

  private onRowKey(event: KeyboardEvent): void {
    const ids = this.shown().map((camera) => camera.id);
    if (event.key === "ArrowUp" && this.current === ids[0]) this.focusSearch();
    else if (event.key === "ArrowDown") void this.focusRow(step(ids, this.current, 1));
    else if (event.key === "ArrowUp") void this.focusRow(step(ids, this.current, -1));
    else if (event.key === "Escape") this.focusSearch();
    else return;
    event.preventDefault();
  }

  private async focusRow(id: string | null): Promise<void> {
    if (id === null) return;
    this.current = id;
    await this.rows.reveal(this.shown().findIndex((camera) => camera.id === id));
    this.renderRoot.querySelector<HTMLElement>(`#camera-${id} .camera`)?.focus();
  }

  private row(camera: CameraView, onWall: boolean, index: number, count: number): TemplateResult {
    const status = statusOf(camera, this.app.seen.value.get(camera.id));
    const second = status === "online" ? placeOf(camera) : reasonText(camera, status) || t(`status.${status}`);
    const stream = streamLine(camera, localeOf(language.value));
    // One row alone is in the tab order; the arrow keys go through the others.
    const tabindex = this.current === camera.id || (this.current === null && index === 0) ? 0 : -1;
    return html`<li id="camera-${camera.id}" class=${onWall ? "on-wall" : ""} data-status=${status}
      aria-setsize=${count} aria-posinset=${index + 1}
      @focusin=${() => {
        this.current = camera.id;
      }}>
      <button class="camera" draggable="true" tabindex=${tabindex}
        title=${[camera.name, camera.id, camera.location.address, stream, camera.tags.join(", ")].filter(Boolean).join("\n")}
        @dragstart=${(event: DragEvent) => dragCamera(event, camera.id)}
        @click=${() => this.app.place(camera.id)}>
        ${statusMark(status)}
        <span class="text">
          <span class="name">${camera.name}</span>
          <span class="second">${second}</span>
        </span>
        ${onWall ? html`<span class="visually-hidden">${t("list.on-wall")}</span>` : nothing}
      </button>
      ${
        this.app.may("supervisor")
          ? html`<button class="icon-only saw" tabindex=${tabindex} aria-label=${t("list.saw", { name: camera.name })}
              title=${t("list.saw", { name: camera.name })}
              @click=${() => this.app.show({ dialog: { kind: "audit", camera: camera.id, person: null } })}>${icon("saw")}</button>`
          : nothing
      }
      ${
        this.app.may("admin")
          ? html`<button class="icon-only edit" tabindex=${tabindex} aria-label=${t("list.edit", { name: camera.name })}
              title=${t("list.edit", { name: camera.name })}
              @click=${() => this.app.show({ dialog: { kind: "camera", camera } })}>${icon("edit")}</button>`
          : nothing
      }
    </li>`;
  }

  private empty(): TemplateResult {
    const cameras = this.app.cameras.value;
    if (cameras === null) return html`<p class="empty" role="status">${t("list.loading")}</p>`;
    if (cameras.size > 0) {
      const text = this.search ? t("list.nothing", { query: this.search }) : t("list.nothing.filter");
      return html`<p class="empty" role="status">${text}</p>`;
    }
    return html`<div class="empty none">
      ${icon("camera")}
      <strong>${t("list.none.title")}</strong>
      <span>${this.app.may("admin") ? t("list.none.body") : t("list.none.viewer")}</span>
    </div>`;
  }

  /** While something is searched for, all that was found can go onto the wall at once. */
  private filling(shown: readonly CameraView[]): TemplateResult | typeof nothing {
    const ids = shown.filter(({ enabled }) => enabled).map(({ id }) => id);
    if (!this.search.trim() || ids.length < 2 || ids.length > MOST_TILES) return nothing;
    return html`<button class="plain fill" @click=${() => this.app.wall.update((wall) => showCameras(wall, ids))}>
      ${t("list.fill", { count: ids.length })}
    </button>`;
  }

  private filters(): TemplateResult {
    const all = counts([...(this.app.cameras.value?.values() ?? [])], this.app.seen.value);
    const names = { all: t("list.all"), working: t("list.working"), faulty: t("list.faulty") };
    return html`<div class="filters" role="radiogroup" aria-label=${t("list.label")}>
      ${(["all", "working", "faulty"] as const).map(
        (filter) => html`<button role="radio" aria-checked=${this.filter === filter} class=${filter}
          @click=${() => {
            this.filter = filter;
            this.rows.toTop();
          }}>${names[filter]} <b>${all[filter]}</b></button>`,
      )}
    </div>`;
  }

  override render(): TemplateResult {
    const shown = this.shown();
    const onWall = new Set(wallCameras(this.app.wall.value));
    const { rows, above, below } = this.rows.of(shown);
    return html`
      <div class="search">
        ${icon("search")}
        <input type="search" aria-controls="list" autocomplete="off" spellcheck="false" placeholder=${t("list.search")} aria-label=${t("list.search")} .value=${this.search}
          @input=${(event: InputEvent) => {
            this.search = (event.target as HTMLInputElement).value;
            this.current = null;
            this.rows.toTop();
          }}
          @keydown=${(event: KeyboardEvent) => this.onBoxKey(event)} />
        <kbd>/</kbd>
      </div>
      ${this.filters()} ${this.filling(shown)}
      ${
        shown.length > 0
          ? html`<ul id="list" class="scroll" tabindex="-1" aria-label=${t("list.label")}
              @scroll=${this.rows.onScroll} @keydown=${(event: KeyboardEvent) => this.onRowKey(event)}>
              ${above}${repeat(
                rows,
                ({ item }) => item.id,
                ({ item, index }) => this.row(item, onWall.has(item.id), index, shown.length),
              )}${below}
            </ul>`
          : html`<div class="list-empty">${this.empty()}</div>`
      }
      ${
        this.app.may("admin")
          ? html`<div class="admin">
              <button class="plain" @click=${() => this.app.show({ dialog: { kind: "camera", camera: null } })}>
                ${icon("plus")}${t("list.add")}
              </button>
              <button class="plain" @click=${() => this.app.show({ dialog: { kind: "import" } })}>
                ${icon("upload")}${t("list.import")}
              </button>
            </div>`
          : nothing
      }
    `;
  }
}

/** The address, unless it repeats the name. */
function placeOf({ id, name, location }: CameraView): string {
  return location.address && location.address !== name ? location.address : id;
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-camera-list": CameraList;
  }
}
