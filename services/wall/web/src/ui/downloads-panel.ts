/** The tray of downloads: the exports that are being made, and those that can be downloaded again. */

import { css, html, LitElement, type TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import type { App } from "../app/app.js";
import { t } from "../i18n/index.js";
import { icon } from "./icons.js";
import { shared, sidePanel } from "./styles.js";
import { Watch } from "./watch.js";
import "./exports-tray.js";

@customElement("pantau-downloads-panel")
export class DownloadsPanel extends LitElement {
  static override styles = [
    shared,
    sidePanel,
    css`
      :host {
        --panel-width: 400px;
      }
      .body {
        flex: 1;
        min-height: 0;
        --exports-height: none;
      }
      p {
        margin: 12px 16px;
        color: var(--text-soft);
      }
      .foot {
        padding: 10px 12px;
        border-top: 1px solid var(--line);
      }
    `,
  ];

  @property({ attribute: false }) app!: App;

  constructor() {
    super();
    new Watch(this, () => [this.app.exports.jobs]);
  }

  override render(): TemplateResult {
    const { app } = this;
    return html`
      <div class="head">
        <h2>${t("bar.downloads")}</h2>
        <button class="icon-only" aria-label=${t("dialog.close")} title=${t("dialog.close")}
          @click=${() => app.show({ downloads: false })}>${icon("close")}</button>
      </div>
      <div class="body scroll">
        ${app.exports.jobs.value.length === 0 ? html`<p>${t("downloads.none")}</p>` : ""}
        <pantau-exports-tray .app=${app}></pantau-exports-tray>
      </div>
      <div class="foot">
        <button class="plain" @click=${() => app.show({ dialog: { kind: "export", incident: null } })}>
          ${icon("export")}${t("downloads.new")}
        </button>
      </div>
    `;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-downloads-panel": DownloadsPanel;
  }
}
