/** The map beside the wall: cameras with their states and bearings; click, lasso and list put them onto the wall. */

import { html, LitElement, nothing, svg, type TemplateResult } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { repeat } from "lit/directives/repeat.js";
import type { CameraView } from "../api/generated.js";
import type { App } from "../app/app.js";
import { t } from "../i18n/index.js";
import type { CityMap } from "../map/city-map.js";
import { neighbours } from "../model/filling.js";
import {
  boundsOf,
  clusters,
  isJunction,
  type MapCamera,
  type MapMark,
  mapCameras,
  nearestFirst,
  type Point,
  wallOrder,
  within,
} from "../model/map-geometry.js";
import { NO_FIELDS, pointText } from "../model/place-time.js";
import { pointIn } from "../model/scale.js";
import { showCameras, wallCameras } from "../model/wall.js";
import { icon } from "./icons.js";
import { mapPanelStyles } from "./map-panel.styles.js";
import { statusMark } from "./status-mark.js";
import { shared } from "./styles.js";
import { VirtualRows } from "./virtual-rows.js";
import { Watch } from "./watch.js";

const MOST_TILES = 64;
/** How many cameras the map shows around one. */
const AROUND = 7;
/** As `map-panel.styles.ts` has it. */
const ROW_PX = 48;
/** Marks a little beyond the edges stay, so that none pops up while the map is dragged. */
const MARGIN_PX = 24;
const STEP_PX = 4;
/** These keys move the map while it has the focus; elsewhere they are the wall's. */
const MAP_KEYS = new Set(["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "+", "=", "-", "Enter", " "]);

@customElement("pantau-map-panel")
export class MapPanel extends LitElement {
  static override styles = [shared, mapPanelStyles];

  @property({ attribute: false }) app!: App;
  @query(".ground") private ground!: HTMLElement;
  @state() private map: CityMap | null = null;
  @state() private failed = false;
  @state() private hasArchive = true;
  @state() private lassoing = false;
  @state() private lasso: readonly Point[] = [];
  private readonly rows: VirtualRows = new VirtualRows(
    this,
    () => this.renderRoot.querySelector<HTMLElement>("ul.list"),
    () => ROW_PX,
  );
  private closed = false;
  private placed = false;

  constructor() {
    super();
    new Watch(this, () => [this.app.cameras, this.app.seen, this.app.wall, this.app.mapCentre, this.app.picking]);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.closed = false;
    void this.open();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.closed = true;
    this.app.picking.set(null);
    this.map?.remove();
    this.map = null;
  }

  private async open(): Promise<void> {
    try {
      const [{ CityMap, libreStyles }, hasArchive] = await Promise.all([
        import("../map/city-map.js"),
        this.app.api.hasMap(),
      ]);
      await this.updateComplete;
      if (this.closed) return;
      this.hasArchive = hasArchive;
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(libreStyles);
      const root = this.renderRoot as ShadowRoot;
      root.adoptedStyleSheets = [sheet, ...root.adoptedStyleSheets];
      const archive = hasArchive ? this.app.api.mapUrl : null;
      const bounds = boundsOf(this.all);
      this.placed = bounds !== null;
      this.map = new CityMap(this.ground, archive, bounds, t("map.title"), () => this.requestUpdate());
      this.map.onClick((event) => this.pick(pointIn(event, this.ground)));
    } catch {
      // Without WebGL, or where the server has a newer version by now. The list of cameras is still there.
      this.failed = true;
    }
  }

  protected override updated(): void {
    const { map } = this;
    if (this.failed) this.app.placePicked(null); // where there is no map to click on, the form comes back
    if (this.lassoing && this.app.picking.value) this.endLasso();
    if (!map) return;
    const bounds = this.placed ? null : boundsOf(this.all);
    if (bounds) {
      this.placed = true;
      map.fit(bounds);
    }
    const { value } = this.app.mapCentre;
    if (value === null) return;
    this.app.mapCentre.set(null);
    const around = boundsOf(neighbours(this.all, value, AROUND));
    if (around) map.fit(around);
  }

  private get all(): CameraView[] {
    return [...(this.app.cameras.value?.values() ?? [])];
  }

  private get size(): { width: number; height: number } {
    return { width: this.ground?.clientWidth ?? 0, height: this.ground?.clientHeight ?? 0 };
  }

  private inView(margin: number): MapCamera[] {
    return this.map ? mapCameras(this.all, this.app.seen.value, this.map.project, this.size, margin) : [];
  }

  private fill(cameras: readonly CameraView[]): void {
    const ids = wallOrder(cameras.filter(({ enabled }) => enabled)).map(({ id }) => id);
    if (ids.length > 0) this.app.wall.update((wall) => showCameras(wall, ids.slice(0, MOST_TILES)));
  }

  /** Takes a point for place and time, where one is asked for. */
  private pick(point: Point): void {
    if (this.map && this.app.picking.value) this.app.placePicked(pointText(this.map.placeAt(point)));
  }

  private choose(mark: MapMark): void {
    const { cameras } = mark;
    const [first] = cameras;
    if (this.app.picking.value) {
      this.pick(mark);
      return;
    }
    if (cameras.length === 1 && first) this.app.place(first.id);
    else if (isJunction(cameras)) this.fill(cameras);
    else {
      const bounds = boundsOf(cameras);
      if (bounds) this.map?.fit(bounds);
    }
  }

  private readonly onKey = (event: KeyboardEvent) => {
    if (event.key === "Escape" && this.lassoing) {
      this.endLasso();
      event.stopPropagation();
    } else if (MAP_KEYS.has(event.key)) event.stopPropagation();
  };

  private readonly onListKey = (event: KeyboardEvent) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    const buttons = [...this.renderRoot.querySelectorAll<HTMLElement>("ul.list button")];
    const at = buttons.indexOf((this.renderRoot as ShadowRoot).activeElement as HTMLElement);
    buttons[at + (event.key === "ArrowDown" ? 1 : -1)]?.focus();
  };

  private readonly togglePicking = () => {
    if (this.app.picking.value) this.app.picking.set(null);
    else this.app.pickPlace(NO_FIELDS);
  };

  private startLasso(): void {
    this.app.picking.set(null);
    this.lassoing = true;
    this.lasso = [];
    this.map?.hold(true);
    // Escape then ends the lasso, and does not close the map.
    this.renderRoot.querySelector<HTMLElement>(".view")?.focus({ preventScroll: true });
  }

  private endLasso(): void {
    this.lassoing = false;
    this.lasso = [];
    this.map?.hold(false);
  }

  private pointOf(event: PointerEvent): Point {
    return pointIn(event, this.ground);
  }

  private readonly onLassoMove = (event: PointerEvent) => {
    if (event.buttons !== 1) return;
    const point = this.pointOf(event);
    const last = this.lasso.at(-1);
    if (!last || Math.hypot(last.x - point.x, last.y - point.y) >= STEP_PX) this.lasso = [...this.lasso, point];
  };

  private readonly onLassoDown = (event: PointerEvent) => {
    (event.currentTarget as Element).setPointerCapture(event.pointerId);
    this.lasso = [this.pointOf(event)];
  };

  private readonly onLassoUp = () => {
    const line = this.lasso;
    this.endLasso();
    this.fill(this.inView(0).flatMap((each) => (within(each, line) ? [each.camera] : [])));
  };

  private mark(mark: MapMark, onWall: ReadonlySet<string>): TemplateResult {
    const { cameras, worst, x, y } = mark;
    const [first] = cameras;
    const single = cameras.length === 1 ? first : undefined;
    const name = single
      ? single.name
      : t(isJunction(cameras) ? "map.junction" : "map.cluster", { count: cameras.length });
    const label = `${name}, ${t(`status.${worst}`)}`;
    const shown = cameras.some(({ id }) => onWall.has(id));
    return html`<button class="mark ${single ? "" : "cluster"} ${shown ? "on-wall" : ""}" data-status=${worst}
      data-camera=${single?.id ?? ""} tabindex="-1" title=${label} aria-label=${label}
      .style=${`transform: translate(${x}px, ${y}px) translate(-50%, -50%)`}
      @click=${() => this.choose(mark)}>
      ${single ? wedge(single.location.bearing) : nothing}
      ${statusMark(worst)}${single ? nothing : html`<span>${cameras.length}</span>`}
    </button>`;
  }

  private list(shown: readonly MapCamera[], onWall: ReadonlySet<string>): TemplateResult {
    const { width, height } = this.size;
    const near = nearestFirst(shown, { x: width / 2, y: height / 2 });
    const { rows, above, below } = this.rows.of(near);
    if (this.failed) return html``;
    if (near.length === 0)
      return html`<p class="empty" role="status">${t(this.map ? "map.nothing" : "map.loading")}</p>`;
    return html`<ul class="list scroll" tabindex="-1" aria-label=${t("map.list")} @scroll=${this.rows.onScroll} @keydown=${this.onListKey}>
      ${above}${repeat(
        rows,
        ({ item }) => item.camera.id,
        ({ item: { camera, status }, index }) => html`<li aria-setsize=${near.length} aria-posinset=${index + 1}>
          <button class=${onWall.has(camera.id) ? "on-wall" : ""} data-camera=${camera.id} @click=${() => this.app.place(camera.id)}>
            ${statusMark(status)}<span class="name">${camera.name}</span>
            ${camera.location.bearing === null ? nothing : arrow(camera.location.bearing)}
            ${onWall.has(camera.id) ? html`<span class="visually-hidden">${t("list.on-wall")}</span>` : nothing}
          </button>
        </li>`,
      )}${below}
    </ul>`;
  }

  override render(): TemplateResult {
    const onWall = new Set(wallCameras(this.app.wall.value));
    const picking = this.app.picking.value !== null;
    const near = this.inView(MARGIN_PX);
    const shown = this.inView(0);
    const fillable = shown.filter(({ camera }) => camera.enabled).length;
    const line = this.lasso.map(({ x, y }) => `${x},${y}`).join(" ");
    return html`
      <div class="head">
        <h2>${t("map.title")}</h2>
        <button class="icon-only" title=${t("map.zoom-in")} aria-label=${t("map.zoom-in")} @click=${() => this.map?.zoomBy(1)}>${icon("zoom-in")}</button>
        <button class="icon-only" title=${t("map.zoom-out")} aria-label=${t("map.zoom-out")} @click=${() => this.map?.zoomBy(-1)}>${icon("zoom-out")}</button>
        <button class="icon-only" title=${t("map.all")} aria-label=${t("map.all")} @click=${() => {
          const bounds = boundsOf(this.all);
          if (bounds) this.map?.fit(bounds);
        }}>${icon("fullscreen")}</button>
        <button class="pick" aria-pressed=${picking} ?disabled=${this.map === null} title=${t("place.title")}
          aria-label=${t("place.title")} @click=${this.togglePicking}>${icon("place")}</button>
        <button class="lasso" aria-pressed=${this.lassoing} ?disabled=${this.map === null}
          @click=${() => (this.lassoing ? this.endLasso() : this.startLasso())}>${icon("lasso")}${t("map.lasso")}</button>
        <button class="icon-only" aria-label=${t("dialog.close")} title=${t("dialog.close")} @click=${() => this.app.show({ map: false })}>${icon("close")}</button>
      </div>
      <div class="view ${picking ? "picking" : ""}" tabindex="-1" @keydown=${this.onKey}>
        <div class="ground" data-ready=${this.map !== null}></div>
        <div class="marks">${repeat(
          clusters(near),
          ({ cameras }) => cameras[0]?.id,
          (mark) => this.mark(mark, onWall),
        )}</div>
        ${
          this.lassoing
            ? html`<svg class="drawing" @pointerdown=${this.onLassoDown} @pointermove=${this.onLassoMove} @pointerup=${this.onLassoUp}>
                ${svg`<polygon points=${line} />`}</svg>
              <p class="plate" role="status">${t("map.lasso.hint")}</p>`
            : nothing
        }
        ${picking && this.map ? html`<p class="plate" role="status">${t("place.pick.hint")}</p>` : nothing}
        ${this.failed ? html`<p class="plate" role="alert">${t("map.failed")}</p>` : nothing}
        ${this.map && !this.hasArchive ? html`<p class="plate low">${t("map.no-archive")}</p>` : nothing}
      </div>
      <div class="under">
        <span>${t("map.in-view", { count: shown.length })}</span>
        ${
          fillable > 0 && fillable <= MOST_TILES
            ? html`<button class="plain" @click=${() => this.fill(shown.map(({ camera }) => camera))}>${t("list.fill", { count: fillable })}</button>`
            : nothing
        }
      </div>
      <div class="lower">${this.list(shown, onWall)}</div>
    `;
  }
}

/** Which way a camera looks, as a wedge of light. */
function wedge(bearing: number | null): TemplateResult | typeof nothing {
  if (bearing === null) return nothing;
  return html`<svg class="wedge" viewBox="-30 -30 60 60" aria-hidden="true" .style=${`transform: rotate(${bearing}deg)`}>
    ${svg`<path d="M0 0L-12 -27A30 30 0 0 1 12 -27Z" />`}</svg>`;
}

function arrow(bearing: number): TemplateResult {
  const label = t("map.bearing", { degrees: Math.round(bearing) });
  return html`<svg class="arrow" viewBox="0 0 16 16" width="16" height="16" role="img" aria-label=${label} .style=${`transform: rotate(${bearing}deg)`}>
    ${svg`<path d="M8 2L12 13L8 10.5L4 13Z" fill="currentColor" />`}</svg>`;
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-map-panel": MapPanel;
  }
}
