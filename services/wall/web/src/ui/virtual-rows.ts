/** A list of equally high rows of which only those in view are in the document. Its host renders them. */

import { html, type ReactiveController, type ReactiveControllerHost, type TemplateResult } from "lit";
import { rowWindow, scrollToRow } from "../model/row-window.js";

/** Before the list was laid out. */
const FIRST_VIEW_PX = 800;

export class VirtualRows implements ReactiveController {
  private scrollPx = 0;
  private viewPx = FIRST_VIEW_PX;
  private heldFocus = false;

  /** `list` is the element that scrolls: it has the rows' listeners and, for the focus, `tabindex="-1"`. */
  constructor(
    private readonly host: ReactiveControllerHost & { renderRoot: HTMLElement | DocumentFragment },
    private readonly list: () => HTMLElement | null,
    private readonly rowPx: () => number,
  ) {
    host.addController(this);
  }

  readonly onScroll = () => {
    const before = this.scrollPx;
    this.scrollPx = this.list()?.scrollTop ?? 0;
    if (Math.floor(before / this.rowPx()) !== Math.floor(this.scrollPx / this.rowPx())) this.host.requestUpdate();
  };

  /** The rows of `items` to render, each with its place, and the room of those above and below. */
  of<T>(items: readonly T[]): { rows: { item: T; index: number }[]; above: TemplateResult; below: TemplateResult } {
    const { from, to, abovePx, belowPx } = rowWindow(items.length, this.rowPx(), this.scrollPx, this.viewPx);
    const rows = items.slice(from, to).map((item, i) => ({ item, index: from + i }));
    return { rows, above: room(abovePx), below: room(belowPx) };
  }

  toTop(): void {
    this.scrollPx = 0;
    const list = this.list();
    if (list) list.scrollTop = 0;
  }

  /** Scrolls a row into view; it is in the document afterwards. */
  async reveal(index: number): Promise<void> {
    const list = this.list();
    if (!list) return;
    this.scrollPx = scrollToRow(index, this.rowPx(), list.scrollTop, list.clientHeight);
    this.host.requestUpdate();
    await this.host.updateComplete;
    list.scrollTop = this.scrollPx;
  }

  hostUpdate(): void {
    const active = this.active();
    this.heldFocus = active !== null && (this.list()?.contains(active) ?? false);
  }

  hostUpdated(): void {
    const list = this.list();
    if (!list) return;
    // The row that had the focus has scrolled out of the document: the arrow keys still go on from it.
    if (this.heldFocus && this.active() === null) list.focus({ preventScroll: true });
    const viewPx = list.clientHeight || FIRST_VIEW_PX;
    if (viewPx === this.viewPx) return;
    this.viewPx = viewPx;
    this.host.requestUpdate();
  }

  private active(): Element | null {
    return (this.host.renderRoot as ShadowRoot).activeElement;
  }
}

function room(heightPx: number): TemplateResult {
  return html`<li role="none" aria-hidden="true" .style=${`height: ${heightPx}px; border: 0`}></li>`;
}
