/** The choice of the grid: one button that shows the present one, and a card with all of them. */

import { css, html, LitElement, type TemplateResult } from "lit";
import { customElement, property, query } from "lit/decorators.js";
import type { App } from "../app/app.js";
import { t } from "../i18n/index.js";
import { type Cell, gridArea, gridTemplate, LAYOUTS, type LayoutName, layoutOf } from "../model/layout.js";
import { scale } from "../model/scale.js";
import { setLayout, wallCells } from "../model/wall.js";
import { shared } from "./styles.js";
import { Watch } from "./watch.js";

@customElement("pantau-grid-picker")
export class GridPicker extends LitElement {
  static override styles = [
    shared,
    css`
      :host {
        display: contents;
      }
      .mini {
        display: grid;
        flex: none;
        gap: 1px;
        width: 24px;
        height: 17px;
      }
      .mini i {
        background: currentColor;
        border-radius: 0.5px;
        opacity: 0.85;
      }
      .card {
        position: fixed;
        inset: auto;
        margin: 0;
        padding: 8px;
        border: 1px solid var(--line);
        border-radius: 10px;
        background: var(--panel);
        color: var(--text);
        box-shadow: 0 8px 28px rgb(0 0 0 / 0.5);
      }
      .grids {
        display: grid;
        grid-template-columns: repeat(5, 1fr);
        gap: 4px;
      }
      .grids button {
        flex-direction: column;
        gap: 5px;
        min-width: 58px;
        min-height: 58px;
        font-variant-numeric: tabular-nums;
      }
      .grids .mini {
        width: 34px;
        height: 24px;
      }
      .hint {
        margin: 8px 4px 2px;
        max-width: 320px;
        color: var(--text-dim);
        font-size: 13px;
      }
      @media (max-width: 760px) {
        .opener > span:not(.mini) {
          display: none;
        }
      }
    `,
  ];

  @property({ attribute: false }) app!: App;
  @query(".opener") private opener!: HTMLButtonElement;
  @query(".card") private card!: HTMLElement;

  constructor() {
    super();
    new Watch(this, () => [this.app.wall]);
  }

  private mini(name: LayoutName, cells: readonly (Cell | null)[]): TemplateResult {
    return html`<span class="mini" .style=${`grid-template: ${gridTemplate(layoutOf(name))}`}>
      ${cells.map((cell) => (cell ? html`<i .style=${`grid-area: ${gridArea(cell)}`}></i>` : null))}
    </span>`;
  }

  private choose(name: LayoutName): void {
    this.card.hidePopover();
    this.app.wall.update((wall) => setLayout(wall, name));
  }

  private readonly place = (event: ToggleEvent) => {
    if (event.newState !== "open") return;
    const { left, bottom } = this.opener.getBoundingClientRect();
    const by = scale.value;
    this.card.style.left = `${Math.max(4, Math.min(left, innerWidth - 340 * by) / by)}px`;
    this.card.style.top = `${bottom / by + 6}px`;
  };

  override render(): TemplateResult {
    const wall = this.app.wall.value;
    const shown = wallCells(wall);
    const count = shown.filter((cell) => cell !== null).length;
    const label = optionText(count);
    return html`
      <button class="opener" popovertarget="grids" aria-haspopup="dialog" title=${t("bar.layout")}
        aria-label=${`${t("bar.layout")}: ${label}`}>
        ${this.mini(wall.layout, shown)}<span>${label}</span>
      </button>
      <div id="grids" class="card" popover @beforetoggle=${this.place}>
        <div class="grids" role="radiogroup" aria-label=${t("bar.layout")}>
          ${LAYOUTS.map((name) => {
            const text = optionText(Number(name));
            return html`<button role="radio" aria-checked=${wall.layout === name} aria-label=${text} title=${text}
              @click=${() => this.choose(name)}>${this.mini(name, layoutOf(name).cells)}<span>${name}</span></button>`;
          })}
        </div>
        <p class="hint">${t("bar.layout.hint")}</p>
      </div>
    `;
  }
}

function optionText(count: number): string {
  return t(count === 1 ? "bar.layout.one" : "bar.layout.option", { count });
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-grid-picker": GridPicker;
  }
}
