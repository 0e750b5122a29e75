/** A wall screen: the wall alone. The pointer hides, the display stays awake, and an idle screen says its name. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement } from "lit/decorators.js";
import { App } from "../app/app.js";
import { screenNamed } from "../app/screen.js";
import { language, startLanguage, t } from "../i18n/index.js";
import { shared } from "./styles.js";
import { Watch } from "./watch.js";
import "./wall-grid.js";

const POINTER_MS = 3000;

@customElement("pantau-screen")
export class ScreenRoot extends LitElement {
  static override styles = [
    shared,
    css`
      :host {
        display: grid;
        grid-template: minmax(0, 1fr) / minmax(0, 1fr);
        height: var(--view-height);
        overflow: hidden;
        background: var(--screen);
      }
      :host([idle]) {
        cursor: none;
      }
      .idle {
        display: grid;
        place-content: center;
        gap: 12px;
        text-align: center;
        color: var(--text-soft);
        font-size: calc(3vmin / var(--scale));
      }
      .wall {
        display: grid;
        grid-template: minmax(0, 1fr) / minmax(0, 1fr);
        min-height: 0;
      }
      .idle h1 {
        margin: 0;
        color: var(--text);
        font-size: calc(9vmin / var(--scale));
      }
      .word {
        position: fixed;
        left: 0;
        right: 0;
        bottom: 0;
        padding: calc(1vmin / var(--scale)) calc(2vmin / var(--scale));
        background: #3a2a20;
        color: #f0d9b8;
        font-size: calc(2.4vmin / var(--scale));
      }
    `,
  ];

  readonly app = new App(screenNamed(location.pathname));
  private pointerTimer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    super();
    startLanguage(localStorage, navigator.languages);
    new Watch(this, () => [this.app.wall, this.app.server, this.app.keeper.link, ...this.screens()]);
  }

  private screens() {
    return this.app.screen ? [this.app.screen.screen] : [];
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.app.start();
    document.documentElement.lang = language.value;
    document.title = `Pantau · ${this.app.screen?.name ?? ""}`;
    this.addEventListener("pointermove", this.onPointer);
    this.addEventListener("pointerleave", () => this.pause(false));
    document.addEventListener("visibilitychange", () => this.stayAwake());
    this.stayAwake();
    this.onPointer();
  }

  private readonly onPointer = (event?: PointerEvent) => {
    this.removeAttribute("idle");
    // Where somebody points a tour waits, until the pointer rests.
    if (event) this.pause(true);
    clearTimeout(this.pointerTimer);
    this.pointerTimer = setTimeout(() => {
      this.setAttribute("idle", "");
      this.pause(false);
    }, POINTER_MS);
  };

  private pause(paused: boolean): void {
    if (this.app.screen) this.app.screen.paused = paused;
  }

  private stayAwake(): void {
    // A browser may refuse: on a low battery, or without TLS. The display's own settings then decide.
    if (!document.hidden) navigator.wakeLock?.request("screen").catch(() => undefined);
  }

  private word(): TemplateResult | typeof nothing {
    const { phase } = this.app.link;
    if (!this.app.server.value.answers) return html`<div class="word" role="status">${t("screen.server")}</div>`;
    if (phase === "no-path" || phase === "full" || phase === "no-webrtc" || phase === "no-h264") {
      return html`<div class="word" role="status">${t(`banner.${phase}`)}</div>`;
    }
    return nothing;
  }

  override render(): TemplateResult {
    const empty = this.app.wall.value.tiles.every(({ camera }) => camera === null);
    const name = this.app.screen?.name ?? "";
    const shown = empty
      ? html`<h1>${name}</h1><span>${t("screen.idle")}</span>`
      : html`<h1 class="visually-hidden">${name}</h1><pantau-wall-grid .app=${this.app}></pantau-wall-grid>`;
    return html`<main class=${empty ? "idle" : "wall"}>${shown}${this.word()}</main>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-screen": ScreenRoot;
  }
}
