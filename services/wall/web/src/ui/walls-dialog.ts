/** Saved walls: found by name and opened, the present one saved, and the wall filled with cameras that belong together. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { ApiError } from "../api/client.js";
import type { Layout } from "../api/generated.js";
import type { App } from "../app/app.js";
import { copyText } from "../app/copy-text.js";
import { problemText } from "../app/problem.js";
import { language, t } from "../i18n/index.js";
import { neighbours, tagCounts } from "../model/filling.js";
import { dateTime } from "../model/format.js";
import { walls } from "../model/saved-wall.js";
import { showCameras, tileAt } from "../model/wall.js";
import { icon } from "./icons.js";
import { form, shared } from "./styles.js";
import { Watch } from "./watch.js";
import "./modal.js";

const AUDIENCES = ["personal", "shared", "operator", "supervisor"] as const;
type AudienceChoice = (typeof AUDIENCES)[number];
const KEYS = [1, 2, 3, 4, 5, 6, 7, 8, 9] as const;
const TAGS_SHOWN = 24;
const NEIGHBOURS = 9;

@customElement("pantau-walls-dialog")
export class WallsDialog extends LitElement {
  static override styles = [
    shared,
    form,
    css`
      pantau-modal {
        --modal-width: 680px;
      }
      h3 {
        margin: 22px 0 8px;
        font-size: 15px;
        font-weight: 600;
      }
      ul {
        margin: 8px 0 0;
        padding: 0;
        max-height: calc(0.38 * var(--view-height));
        list-style: none;
      }
      li {
        display: flex;
        align-items: center;
        gap: 4px;
      }
      .open {
        flex: 1;
        justify-content: flex-start;
        min-width: 0;
        min-height: 40px;
      }
      .open .name {
        overflow: hidden;
        color: var(--text);
        text-overflow: ellipsis;
      }
      .about {
        color: var(--text-dim);
        font-size: 13px;
      }
      .save {
        display: grid;
        grid-template-columns: minmax(0, 1fr) auto auto auto;
        gap: 8px;
        align-items: end;
      }
      .tags {
        display: flex;
        flex-wrap: wrap;
        gap: 6px;
      }
      .tags button {
        max-width: 100%;
        white-space: normal;
      }
      @media (max-width: 760px) {
        .open {
          flex-direction: column;
          align-items: flex-start;
          gap: 0;
          text-align: left;
        }
        .open .name {
          max-width: 100%;
        }
        .save {
          grid-template-columns: minmax(0, 1fr);
        }
      }
    `,
  ];

  @property({ attribute: false }) app!: App;
  /** The link that was followed names a wall that is not there. */
  @property({ attribute: false }) missing = false;
  @state() private query = "";
  @state() private name = "";
  @state() private audience: AudienceChoice = "personal";
  @state() private key = 0;
  @state() private removing: string | null = null;
  @state() private problem = "";
  @state() private said = "";
  @state() private busy = false;

  constructor() {
    super();
    new Watch(this, () => [this.app.walls.layouts, this.app.cameras, this.app.me]);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.attempt(() => this.app.walls.read());
  }

  private readonly close = () => this.app.show({ dialog: null });

  private async attempt(what: () => Promise<void>): Promise<boolean> {
    this.busy = true;
    this.problem = "";
    try {
      await what();
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.problem = t("dialog.failed", { detail: problemText(error) });
      return false;
    } finally {
      this.busy = false;
    }
  }

  private open(layout: Layout): void {
    this.app.walls.open(layout);
    this.close();
  }

  private fill(cameras: readonly string[]): void {
    this.app.wall.update((wall) => showCameras(wall, cameras));
    this.close();
  }

  private async save(event: Event): Promise<void> {
    event.preventDefault();
    const name = this.name.trim();
    if (!name) return;
    const { audience, key } = this;
    const role = audience === "operator" || audience === "supervisor" ? audience : null;
    const about = { name, audience: role ? ("role" as const) : (audience as "personal" | "shared"), role };
    const saved = await this.attempt(() => this.app.walls.save({ ...about, key: key === 0 ? null : key }));
    if (saved) this.close();
  }

  private async saveOver(layout: Layout): Promise<void> {
    this.said = "";
    await this.attempt(async () => {
      const changedMs = await this.app.walls.saveOver(layout);
      const time = changedMs === null ? "" : dateTime(changedMs, language.value);
      this.said =
        changedMs === null ? t("walls.saved", { name: layout.name }) : t("walls.changed", { name: layout.name, time });
    });
  }

  private about({ audience, role, owner, key, grid }: Layout): string {
    const forRole = role === null ? t("walls.personal") : t("walls.for-role", { role: t(`role.${role}`) });
    const who = audience === "role" ? forRole : t(`walls.${audience}`);
    const mine = owner === this.app.me.value?.name;
    const parts = [
      t(grid === "1" ? "bar.layout.one" : "bar.layout.option", { count: grid }),
      mine ? who : `${who} · ${owner}`,
    ];
    return [...parts, key === null ? "" : `⇧ ${key}`].filter(Boolean).join(" · ");
  }

  private row(layout: Layout): TemplateResult {
    const { walls } = this.app;
    if (this.removing === layout.id) {
      return html`<li>
        <span class="open">${t("walls.remove.sure", { name: layout.name })}</span>
        <button class="danger" ?disabled=${this.busy} @click=${() => this.attempt(() => walls.remove(layout))}>
          ${t("walls.remove")}
        </button>
        <button class="plain" @click=${() => this.ask(null)}>${t("dialog.cancel")}</button>
      </li>`;
    }
    return html`<li>
      <button class="open" data-id=${layout.id} @click=${() => this.open(layout)}>
        <span class="name">${layout.name}</span><span class="about">${this.about(layout)}</span>
      </button>
      <button class="icon-only" title=${t("walls.link")} aria-label=${t("walls.link.of", { name: layout.name })}
        @click=${() => this.copyLink(layout)}>${icon("link")}</button>
      ${
        this.app.mayChange(layout)
          ? html`<button class="icon-only" title=${t("walls.over")} aria-label=${t("walls.over.of", { name: layout.name })}
                ?disabled=${this.busy} @click=${() => this.saveOver(layout)}>${icon("check")}</button>
              <button class="icon-only" title=${t("walls.remove")} aria-label=${t("walls.remove.of", { name: layout.name })}
                @click=${() => this.ask(layout.id)}>${icon("close")}</button>`
          : nothing
      }
    </li>`;
  }

  private ask(id: string | null): void {
    this.removing = id;
  }

  private async copyLink({ id }: Layout): Promise<void> {
    const link = `${location.origin}/#wall=${id}`;
    this.said = (await copyText(link)) ? t("incidents.link.copied") : link;
  }

  private list(): TemplateResult {
    const all = this.app.walls.layouts.value;
    if (all === null) return html`<p class="hint" role="status">${t("walls.loading")}</p>`;
    if (all.length === 0) return html`<p class="hint">${t("walls.none")}</p>`;
    const found = walls(all, this.query);
    if (found.length === 0) return html`<p class="hint" role="status">${t("list.nothing", { query: this.query })}</p>`;
    return html`<ul class="scroll">${found.map((layout) => this.row(layout))}</ul>`;
  }

  private onSearchKey(event: KeyboardEvent): void {
    const first = walls(this.app.walls.layouts.value ?? [], this.query)[0];
    if (event.key === "Enter" && first) this.open(first);
  }

  private saving(): TemplateResult {
    const allowed = AUDIENCES.filter((audience) => audience === "personal" || this.app.may("operator"));
    return html`<form class="save" @submit=${(event: Event) => this.save(event)}>
      <label>${t("walls.name")}
        <input name="name" maxlength="80" .value=${this.name} @input=${(event: Event) => {
          this.name = (event.target as HTMLInputElement).value;
        }} /></label>
      <label>${t("walls.audience")}
        <select name="audience" @change=${(event: Event) => {
          this.audience = AUDIENCES[(event.target as HTMLSelectElement).selectedIndex] ?? "personal";
        }}>${allowed.map((audience) => html`<option ?selected=${audience === this.audience}>${audienceText(audience)}</option>`)}</select></label>
      <label>${t("walls.key")}
        <select name="key" @change=${(event: Event) => {
          this.key = (event.target as HTMLSelectElement).selectedIndex;
        }}>${[t("walls.key.none"), ...KEYS.map((key) => `⇧ ${key}`)].map(
          (text, key) => html`<option ?selected=${key === this.key}>${text}</option>`,
        )}</select></label>
      <button class="primary" ?disabled=${this.busy || !this.name.trim()}>${t("dialog.save")}</button>
    </form>`;
  }

  private filling(): TemplateResult {
    const { app } = this;
    const cameras = [...(app.cameras.value?.values() ?? [])];
    const wall = app.wall.value;
    const middle = app.camera(tileAt(wall, wall.selected).camera);
    const near = middle ? neighbours(cameras, middle.id, NEIGHBOURS) : [];
    const tagged = (tag: string) => cameras.filter(({ enabled, tags }) => enabled && tags.includes(tag));
    const ids = (some: readonly { id: string }[]) => some.map(({ id }) => id);
    return html`<div class="tags">
      ${tagCounts(cameras)
        .slice(0, TAGS_SHOWN)
        .map(({ tag, count }) => {
          return html`<button class="plain" @click=${() => this.fill(ids(tagged(tag)))}>${tag} <b>${count}</b></button>`;
        })}
      ${
        middle && near.length > 1
          ? html`<button class="plain" @click=${() => this.fill(ids(near))}>${t("walls.near", { name: middle.name })}</button>`
          : nothing
      }
    </div>
    <p class="hint">${t("walls.fill.hint")}</p>`;
  }

  override render(): TemplateResult {
    return html`<pantau-modal .heading=${t("bar.walls")} .actions=${false} @close=${this.close}>
      <input type="search" name="wall" autocomplete="off" placeholder=${t("walls.search")} aria-label=${t("walls.search")}
        .value=${this.query} @keydown=${(event: KeyboardEvent) => this.onSearchKey(event)}
        @input=${(event: Event) => {
          this.query = (event.target as HTMLInputElement).value;
        }} />
      ${this.missing ? html`<p class="error" role="alert">${t("walls.missing")}</p>` : nothing}
      ${this.list()}
      <p class="hint" role="status">${this.said}</p>
      ${this.problem ? html`<p class="error" role="alert">${this.problem}</p>` : nothing}
      <h3>${t("walls.save")}</h3>
      ${this.saving()}
      <h3>${t("walls.fill")}</h3>
      ${this.filling()}
    </pantau-modal>`;
  }
}

function audienceText(audience: AudienceChoice): string {
  if (audience === "personal" || audience === "shared") return t(`walls.${audience}`);
  return t("walls.for-role", { role: t(`role.${audience}`) });
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-walls-dialog": WallsDialog;
  }
}
