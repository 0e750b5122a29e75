/** A camera's privacy masks, drawn on a still of it or typed; and who sees through them. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { live } from "lit/directives/live.js";
import type { PrivacyMask, Role } from "../api/generated.js";
import { type MessageKey, t } from "../i18n/index.js";
import { MAX_MASKS, maskBetween, type Point, pointIn, resized } from "../model/privacy-masks.js";
import { form, shared } from "./styles.js";
import { Watch } from "./watch.js";

const SIDES: readonly (readonly [keyof PrivacyMask, MessageKey])[] = [
  ["x", "masks.x"],
  ["y", "masks.y"],
  ["width", "masks.width"],
  ["height", "masks.height"],
];
const ROLES: readonly (readonly [Role, MessageKey])[] = [
  ["viewer", "role.viewer"],
  ["operator", "role.operator"],
  ["supervisor", "role.supervisor"],
  ["agency", "role.agency"],
];
/** What the button adds, to be moved by its numbers: a fifth of the picture, in its middle. */
const ADDED: PrivacyMask = { x: 0.4, y: 0.4, width: 0.2, height: 0.2 };

export interface MasksChange {
  masks: PrivacyMask[];
  roles: Role[];
}

/** Fires `masks` with a `MasksChange` at each change; it keeps none itself. */
@customElement("pantau-mask-editor")
export class MaskEditor extends LitElement {
  static override styles = [
    shared,
    form,
    css`
      :host {
        display: grid;
        gap: 10px;
      }
      p {
        margin: 0;
      }
      .picture {
        position: relative;
        overflow: hidden;
        border-radius: 6px;
        background: var(--raised);
        cursor: crosshair;
        touch-action: none;
        user-select: none;
      }
      img {
        display: block;
        width: 100%;
        aspect-ratio: auto 16 / 9;
        pointer-events: none;
      }
      .mask {
        position: absolute;
        display: grid;
        place-items: center;
        border: 2px solid var(--accent);
        background: rgb(0 0 0 / 75%);
        color: #fff;
        pointer-events: none;
      }
      .numbers {
        display: grid;
        grid-template-columns: 20px repeat(4, minmax(0, 1fr)) auto;
        gap: 6px;
        align-items: end;
      }
      .numbers span {
        align-self: center;
      }
      .add {
        justify-self: start;
      }
      fieldset {
        display: flex;
        flex-wrap: wrap;
        gap: 4px 16px;
        min-width: 0;
        margin: 0;
        padding: 0;
        border: 0;
      }
      legend {
        margin-bottom: 4px;
        padding: 0;
        color: var(--text-soft);
        font-size: 13px;
      }
    `,
  ];

  /** The still's address; empty where there is none. */
  @property() still = "";
  @property({ attribute: false }) masks: readonly PrivacyMask[] = [];
  /** Who sees through them. */
  @property({ attribute: false }) roles: readonly Role[] = [];
  @state() private stillFailed = false;
  @state() private from: Point | null = null;
  @state() private to: Point | null = null;

  constructor() {
    super();
    new Watch(this, () => []);
  }

  private tell(masks: readonly PrivacyMask[], roles: readonly Role[] = this.roles): void {
    const detail: MasksChange = { masks: [...masks], roles: [...roles] };
    this.dispatchEvent(new CustomEvent<MasksChange>("masks", { detail }));
  }

  private point(event: PointerEvent): Point {
    return pointIn((event.currentTarget as HTMLElement).getBoundingClientRect(), event.clientX, event.clientY);
  }

  private readonly begin = (event: PointerEvent) => {
    if (this.masks.length >= MAX_MASKS) return;
    (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
    this.from = this.to = this.point(event);
  };

  private readonly move = (event: PointerEvent) => {
    if (this.from) this.to = this.point(event);
  };

  private get drawn(): PrivacyMask | null {
    return this.from && this.to ? maskBetween(this.from, this.to) : null;
  }

  private readonly end = () => {
    const { drawn } = this;
    this.from = this.to = null;
    if (drawn) this.tell([...this.masks, drawn]);
  };

  private readonly cancel = () => {
    this.from = this.to = null;
  };

  private rectangle(mask: PrivacyMask, label: string): TemplateResult {
    const [left, top, width, height] = [mask.x, mask.y, mask.width, mask.height].map((part) => `${part * 100}%`);
    return html`<div class="mask"
      .style=${`left: ${left}; top: ${top}; width: ${width}; height: ${height}`}>${label}</div>`;
  }

  private row(mask: PrivacyMask, index: number): TemplateResult {
    const changed = (now: PrivacyMask) => this.masks.map((each, at) => (at === index ? now : each));
    return html`<div class="numbers" role="group" aria-label=${t("masks.one", { number: index + 1 })}>
      <span aria-hidden="true">${index + 1}</span>
      ${SIDES.map(
        ([side, label]) => html`<label>${t(label)}
          <input name=${side} inputmode="decimal" autocomplete="off" .value=${live(String(Math.round(mask[side] * 1000) / 10))}
            @change=${(event: Event) => this.tell(changed(resized(mask, side, (event.target as HTMLInputElement).value)))} />
        </label>`,
      )}
      <button type="button" class="plain" aria-label=${t("masks.remove.one", { number: index + 1 })}
        @click=${() => this.tell(this.masks.filter((_, at) => at !== index))}>${t("masks.remove")}</button>
    </div>`;
  }

  private roleCheck([role, label]: (typeof ROLES)[number]): TemplateResult {
    return html`<label class="check">
      <input type="checkbox" name=${role} .checked=${live(this.roles.includes(role))}
        @change=${(event: Event) => {
          const others = this.roles.filter((each) => each !== role);
          this.tell(this.masks, (event.target as HTMLInputElement).checked ? [...others, role] : others);
        }} />
      ${t(label)}
    </label>`;
  }

  override render(): TemplateResult {
    const { drawn } = this;
    const full = this.masks.length >= MAX_MASKS;
    return html`<p class="hint">${t("masks.hint")}</p>
      <div class="picture" @pointerdown=${this.begin} @pointermove=${this.move} @pointerup=${this.end}
        @pointercancel=${this.cancel}>
        <img src=${this.still || nothing} alt="" draggable="false" @load=${() => {
          this.stillFailed = false;
        }} @error=${() => {
          this.stillFailed = true;
        }} />
        ${this.masks.map((mask, index) => this.rectangle(mask, String(index + 1)))}
        ${drawn ? this.rectangle(drawn, "") : nothing}
      </div>
      ${!this.still || this.stillFailed ? html`<p class="hint" role="status">${t("masks.no-still")}</p>` : nothing}
      ${this.masks.map((mask, index) => this.row(mask, index))}
      <button type="button" class="plain add" ?disabled=${full}
        @click=${() => this.tell([...this.masks, ADDED])}>${t("masks.add")}</button>
      <fieldset>
        <legend>${t("masks.roles")}</legend>
        ${ROLES.map((role) => this.roleCheck(role))}
      </fieldset>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-mask-editor": MaskEditor;
  }
}
