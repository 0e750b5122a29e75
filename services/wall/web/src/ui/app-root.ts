/** The page: bar, camera list, wall, timeline and dialogs, and the keyboard. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement } from "lit/decorators.js";
import { App } from "../app/app.js";
import { perform } from "../app/perform.js";
import type { ViewState } from "../app/view.js";
import { language, startLanguage, t } from "../i18n/index.js";
import { sinceTime } from "../model/format.js";
import { actionFor } from "../model/keys.js";
import { NO_FIELDS } from "../model/place-time.js";
import { siteNow } from "../model/site-clock.js";
import { beat } from "./beat.js";
import { icon } from "./icons.js";
import { shared } from "./styles.js";
import { Watch } from "./watch.js";
import "./account-dialog.js";
import "./accounts-dialog.js";
import "./audit-dialog.js";
import "./busiest-dialog.js";
import "./camera-dialog.js";
import "./camera-list.js";
import "./coverage-dialog.js";
import "./downloads-panel.js";
import "./events-panel.js";
import "./export-dialog.js";
import "./grants-dialog.js";
import "./health-dialog.js";
import "./help-dialog.js";
import "./import-dialog.js";
import "./incident-dialog.js";
import "./incident-page.js";
import "./incidents-panel.js";
import "./list-edge.js";
import "./lock-screen.js";
import "./map-panel.js";
import "./place-dialog.js";
import "./screens-panel.js";
import "./sheet-dialog.js";
import "./timeline-panel.js";
import "./toast.js";
import "./top-bar.js";
import "./wall-grid.js";
import "./walls-dialog.js";

/** A short interruption shows in the tiles alone; a longer one gets a banner. */
const BANNER_AFTER_MS = 1500;

@customElement("pantau-app")
export class AppRoot extends LitElement {
  static override styles = [
    shared,
    css`
      :host {
        display: grid;
        grid-template: auto minmax(0, 1fr) auto / minmax(0, 1fr);
        height: var(--view-height);
        overflow: hidden;
      }
      .banner {
        display: flex;
        align-items: center;
        gap: 10px;
        padding: 8px 16px;
        background: #3a2a20;
        color: #f0d9b8;
        font-size: 16px;
      }
      .body {
        display: grid;
        grid-template: minmax(0, 1fr) / auto minmax(0, 1fr) auto auto auto auto;
        min-height: 0;
      }
      aside {
        position: relative;
        min-height: 0;
      }
      main {
        display: grid;
        grid-template: minmax(0, 1fr) / minmax(0, 1fr);
        grid-column: 2;
        min-width: 0;
        min-height: 0;
      }
      [hidden] {
        display: none;
      }
      @media (max-width: 760px) {
        .body {
          position: relative;
        }
        aside {
          position: absolute;
          inset: 0;
          z-index: 2;
        }
      }
      /* So low is a window that is enlarged to 200 % and more, and a phone that lies: what does not fit is scrolled to. */
      @media (max-height: 480px) {
        :host {
          grid-template-rows: auto minmax(200px, 1fr) auto;
          overflow: auto;
        }
      }
      .skip {
        position: absolute;
        left: 8px;
        top: -60px;
        z-index: 10;
        background: var(--accent-deep);
        color: var(--text);
        padding: 8px 12px;
      }
      .skip:focus {
        top: 8px;
      }
    `,
  ];

  readonly app = new App();
  private unfollow: (() => void) | undefined;
  /** The dialog in the document. While the page is locked it stays, unseen, with what is written in it. */
  private held: ViewState["dialog"] = null;

  constructor() {
    super();
    startLanguage(localStorage, navigator.languages);
    const { app } = this;
    new Watch(this, () => [
      app.view,
      app.server,
      app.keeper.link,
      app.cameras,
      app.support,
      app.troubles,
      app.version.outdated,
      app.idle.locked,
    ]);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    document.addEventListener("keydown", this.onKey);
    language.subscribe(() => this.onLanguage());
    this.onLanguage();
    this.app.start();
    this.unfollow = beat.followSeconds(() => this.requestUpdate());
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    document.removeEventListener("keydown", this.onKey);
    this.unfollow?.();
  }

  private onLanguage(): void {
    document.documentElement.lang = language.value;
    document.title = t("app.title");
  }

  private readonly onKey = (event: KeyboardEvent) => {
    if (event.defaultPrevented || this.app.view.value.dialog || this.app.idle.locked.value) return;
    const target = event.composedPath()[0];
    if (target instanceof HTMLElement && target.closest("input, textarea, select")) return;
    const action = actionFor(event);
    if (!action) return;
    // A focused button handles Enter and space itself.
    if (target instanceof HTMLButtonElement && (event.key === "Enter" || event.key === " ")) return;
    if (perform(this.app, action, { searchBox: () => this.focusSearch() })) event.preventDefault();
  };

  private async focusSearch(): Promise<void> {
    this.app.show({ panel: true });
    await this.updateComplete;
    this.renderRoot.querySelector("pantau-camera-list")?.focusSearch();
  }

  private banner(): TemplateResult | typeof nothing {
    const { server, link } = this.app;
    const now = siteNow();
    const since = (ms: number) => ({ since: sinceTime(ms, now, language.value) });
    const { phase, sinceMs } = link;
    let text: string | null = null;
    if (phase === "no-webrtc" || phase === "no-h264") text = t(`banner.${phase}`);
    else if (!server.value.answers && now - server.value.sinceMs > BANNER_AFTER_MS) {
      text = t("banner.server", since(server.value.sinceMs));
    } else if (phase === "full" || phase === "no-path" || phase === "no-network") text = t(`banner.${phase}`);
    else if (phase === "lost" && now - sinceMs > BANNER_AFTER_MS) text = t("banner.session", since(sinceMs));
    text ??= this.trouble();
    if (text === null && this.app.version.outdated.value) {
      return html`<div class="banner" role="status"><span>${t("banner.version")}</span>
        <button class="plain" @click=${() => location.reload()}>${t("banner.reload")}</button></div>`;
    }
    if (text === null) return nothing;
    return html`<div class="banner" role="status">${icon("warning")}<span>${text}</span></div>`;
  }

  /** The first trouble of the mesh itself, for who may mend it. */
  private trouble(): string | null {
    const [first] = this.app.troubles.value;
    if (first === undefined) return null;
    return t(`trouble.${first.kind}`, { subject: first.subject, count: first.count });
  }

  private dialog(): TemplateResult | typeof nothing {
    const { app } = this;
    const dialog = this.held;
    switch (dialog?.kind) {
      case "help":
        return html`<pantau-help-dialog .app=${app}></pantau-help-dialog>`;
      case "place":
        return html`<pantau-place-dialog .app=${app} .fields=${dialog.fields ?? NO_FIELDS}></pantau-place-dialog>`;
      case "walls":
        return html`<pantau-walls-dialog .app=${app} .missing=${dialog.missing ?? false}></pantau-walls-dialog>`;
      case "camera":
        return html`<pantau-camera-dialog .app=${app} .camera=${dialog.camera}></pantau-camera-dialog>`;
      case "import":
        return html`<pantau-import-dialog .app=${app}></pantau-import-dialog>`;
      case "export":
        return html`<pantau-export-dialog .app=${app} .incident=${dialog.incident}></pantau-export-dialog>`;
      case "busiest":
        return html`<pantau-busiest-dialog .app=${app} .span=${dialog.span}></pantau-busiest-dialog>`;
      case "incident":
        return html`<pantau-incident-dialog .app=${app} .incident=${dialog.incident}></pantau-incident-dialog>`;
      case "incident-page":
        return html`<pantau-incident-page .app=${app} .incidentId=${dialog.id}></pantau-incident-page>`;
      case "account":
        return html`<pantau-account-dialog .app=${app}></pantau-account-dialog>`;
      case "accounts":
        return html`<pantau-accounts-dialog .app=${app} .account=${dialog.account}></pantau-accounts-dialog>`;
      case "grants":
        return html`<pantau-grants-dialog .app=${app} .account=${dialog.account}></pantau-grants-dialog>`;
      case "audit":
        return html`<pantau-audit-dialog .app=${app} .camera=${dialog.camera} .person=${dialog.person}></pantau-audit-dialog>`;
      case "sheet":
        return html`<pantau-sheet-dialog .app=${app}></pantau-sheet-dialog>`;
      case "health":
        return html`<pantau-health-dialog .app=${app}></pantau-health-dialog>`;
      case "coverage":
        return html`<pantau-coverage-dialog .app=${app}></pantau-coverage-dialog>`;
      default:
        return nothing;
    }
  }

  override render(): TemplateResult {
    const { app } = this;
    const { panel, timeline, incidents, screens, events, downloads, map, dialog } = app.view.value;
    const locked = app.idle.locked.value;
    if (!locked) this.held = dialog;
    return html`
      <header>
        <button class="skip" @click=${() => this.renderRoot.querySelector("pantau-wall-grid")?.focusSelected()}>
          ${t("app.skip")}
        </button>
        <pantau-top-bar .app=${app}></pantau-top-bar>
        ${this.banner()}
      </header>
      <div class="body">
        <aside aria-label=${t("bar.panel")} ?hidden=${!panel}>
          ${panel ? html`<pantau-camera-list .app=${app}></pantau-camera-list><pantau-list-edge></pantau-list-edge>` : nothing}
        </aside>
        <main aria-label=${t("help.wall")}><pantau-wall-grid .app=${app}></pantau-wall-grid></main>
        <aside aria-label=${t("map.title")} ?hidden=${!map}>
          ${map ? html`<pantau-map-panel .app=${app}></pantau-map-panel>` : nothing}
        </aside>
        <aside aria-label=${t("bar.screens")} ?hidden=${!screens}>
          ${screens ? html`<pantau-screens-panel .app=${app}></pantau-screens-panel>` : nothing}
        </aside>
        <aside aria-label=${t("bar.downloads")} ?hidden=${!downloads}>
          ${downloads ? html`<pantau-downloads-panel .app=${app}></pantau-downloads-panel>` : nothing}
        </aside>
        <aside aria-label=${t("bar.events")} ?hidden=${!events}>
          ${events ? html`<pantau-events-panel .app=${app}></pantau-events-panel>` : nothing}
        </aside>
        <aside aria-label=${t("bar.incidents")} ?hidden=${!incidents}>
          ${incidents ? html`<pantau-incidents-panel .app=${app}></pantau-incidents-panel>` : nothing}
        </aside>
      </div>
      <section aria-label=${t("bar.timeline")} ?hidden=${!timeline}>
        ${timeline ? html`<pantau-timeline-panel .app=${app}></pantau-timeline-panel>` : nothing}
      </section>
      <pantau-toast .app=${app}></pantau-toast>
      <div ?hidden=${locked}>${this.dialog()}</div>
      ${locked ? html`<pantau-lock-screen .app=${app}></pantau-lock-screen>` : nothing}
    `;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-app": AppRoot;
  }
}
