/** The grid of tiles. A tile's element stays the same through layouts, so that its picture does, too. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property } from "lit/decorators.js";
import type { App } from "../app/app.js";
import { type Cell, fittingSpan, gridArea, gridTemplate, layoutOf, type TileSpan } from "../model/layout.js";
import { setSpan, wallCells } from "../model/wall.js";
import { Watch } from "./watch.js";
import "./wall-tile.js";

type Edge = "right" | "bottom" | "corner";
const EDGES: readonly Edge[] = ["right", "bottom", "corner"];

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
    .edge {
      position: relative;
      z-index: 1;
      touch-action: none;
    }
    .edge.right {
      justify-self: end;
      width: 7px;
      margin: 14px -5px 14px 0;
      cursor: ew-resize;
    }
    .edge.bottom {
      align-self: end;
      height: 7px;
      margin: 0 14px -5px;
      cursor: ns-resize;
    }
    .edge.corner {
      justify-self: end;
      align-self: end;
      width: 13px;
      height: 13px;
      margin: 0 -5px -5px 0;
      cursor: nwse-resize;
    }
    .edge:hover {
      border-radius: 3px;
      background: var(--focus);
    }
    .outline {
      z-index: 1;
      border: 3px dashed var(--focus);
      pointer-events: none;
    }
  `;

  @property({ attribute: false }) app!: App;
  private dragged: { index: number; edge: Edge; span: TileSpan | null } | null = null;

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
    this.style.gridTemplate = gridTemplate(layoutOf(this.app.wall.value.layout));
  }

  /** The size that the pointer asks for, as far as it fits. */
  private asked(event: PointerEvent): TileSpan | null {
    const { dragged } = this;
    const wall = this.app.wall.value;
    const cell = dragged && wallCells(wall)[dragged.index];
    if (!dragged || !cell) return null;
    const box = this.getBoundingClientRect();
    const layout = layoutOf(wall.layout);
    const across = Math.round(((event.clientX - box.left) / box.width) * layout.columns) - cell.column;
    const down = Math.round(((event.clientY - box.top) / box.height) * layout.rows) - cell.row;
    return fittingSpan(layout, dragged.index, {
      columns: dragged.edge === "bottom" ? cell.columns : across,
      rows: dragged.edge === "right" ? cell.rows : down,
    });
  }

  private readonly onEdgeMove = (event: PointerEvent) => {
    const span = this.asked(event);
    if (this.dragged && span) this.dragged = { ...this.dragged, span };
    this.requestUpdate();
  };

  private readonly onEdgeDown = (event: PointerEvent) => {
    const grip = event.currentTarget as HTMLElement;
    const edge = EDGES.find((each) => each === grip.dataset.edge);
    if (!edge || event.button !== 0) return;
    event.preventDefault();
    this.dragged = { index: Number(grip.dataset.index), edge, span: null };
    grip.setPointerCapture(event.pointerId);
  };

  private readonly onEdgeUp = () => {
    const { dragged } = this;
    this.dragged = null;
    if (dragged?.span) {
      const { index, span } = dragged;
      this.app.wall.update((wall) => setSpan(wall, index, span));
    }
    this.requestUpdate();
  };

  private outline(cells: readonly (Cell | null)[]): TemplateResult | typeof nothing {
    const cell = this.dragged && cells[this.dragged.index];
    if (!this.dragged?.span || !cell) return nothing;
    return html`<div class="outline" .style=${`grid-area: ${gridArea({ ...cell, ...this.dragged.span })}`}></div>`;
  }

  /** What a tile is dragged larger by; `+` and `-` do the same. */
  private edges(cell: Cell, index: number): TemplateResult[] {
    return EDGES.map((edge) => {
      return html`<div class="edge ${edge}" data-index=${index} data-edge=${edge}
        .style=${`grid-area: ${gridArea(cell)}`} @pointerdown=${this.onEdgeDown} @pointermove=${this.onEdgeMove}
        @pointerup=${this.onEdgeUp} @pointercancel=${this.onEdgeUp}></div>`;
    });
  }

  override render(): TemplateResult {
    const { enlarged, selected, layout } = this.app.wall.value;
    const cells = wallCells(this.app.wall.value);
    const shown = (cell: Cell | null, index: number) => cell !== null && (enlarged === null || enlarged === index);
    const area = (cell: Cell | null, index: number) =>
      enlarged === index ? "1 / 1 / -1 / -1" : cell ? gridArea(cell) : "auto";
    return html`${cells.map(
      (cell, index) => html`<pantau-wall-tile data-slot=${index} .app=${this.app} .index=${index}
        ?hidden=${!shown(cell, index)} .style=${`grid-area: ${area(cell, index)}`}
        .selected=${selected === index} .enlarged=${enlarged === index}></pantau-wall-tile>`,
    )}
    ${
      enlarged === null && layout !== "1"
        ? [...cells.map((cell, index) => (cell ? this.edges(cell, index) : nothing)), this.outline(cells)]
        : nothing
    }`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-wall-grid": WallGrid;
  }
}
