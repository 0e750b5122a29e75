/** The grid of tiles. A tile's element stays the same through layouts, so that its picture does, too. */

import { css, html, LitElement, type TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import type { App } from "../app/app.js";
import { gridArea, layoutOf } from "../model/layout.js";
import { Watch } from "./watch.js";
import "./wall-tile.js";

@customElement("pantau-wall-grid")
export class WallGrid extends LitElement {
  static override styles = css`
    :host {
      display: grid;
      gap: 3px;
      min-width: 0;
      min-height: 0;
      padding: 3px;
      background: var(--screen);
    }
    pantau-wall-tile[hidden] {
      display: none;
    }
  `;

  @property({ attribute: false }) app!: App;

  constructor() {
    super();
    new Watch(this, () => [this.app.wall, this.app.view]);
  }

  focusSelected(): void {
    this.renderRoot
      .querySelector<HTMLElement>(`pantau-wall-tile[data-slot="${this.app.wall.value.selected}"]`)
      ?.focus();
  }

  override updated(): void {
    const { side } = layoutOf(this.app.wall.value.layout);
    this.style.gridTemplate = `repeat(${side}, minmax(0, 1fr)) / repeat(${side}, minmax(0, 1fr))`;
  }

  override render(): TemplateResult {
    const { layout, enlarged, selected } = this.app.wall.value;
    return html`${layoutOf(layout).cells.map(
      (cell, index) => html`<pantau-wall-tile data-slot=${index} .app=${this.app} .index=${index}
        ?hidden=${enlarged !== null && enlarged !== index}
        .style=${`grid-area: ${enlarged === index ? "1 / 1 / -1 / -1" : gridArea(cell)}`}
        .selected=${selected === index} .enlarged=${enlarged === index}></pantau-wall-tile>`,
    )}`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-wall-grid": WallGrid;
  }
}
