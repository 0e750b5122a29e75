/** Who may do what with which cameras, what for, from when until when; taken away at once. */

import { html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import {
  type AccountView,
  type GrantView,
  type NewGrant,
  RIGHT_VALUES,
  type Right,
  ROLE_VALUES,
  type Role,
} from "../api/generated.js";
import type { App } from "../app/app.js";
import { language, type MessageKey, t } from "../i18n/index.js";
import { dateTime } from "../model/format.js";
import { isRolesOwn, isTakenAway, optionalMoment } from "../model/people.js";
import { Asking } from "./asking.js";
import { icon } from "./icons.js";
import { people, peopleTable, peopleTabs } from "./people-tabs.js";
import { form, shared } from "./styles.js";
import { Watch } from "./watch.js";
import "./modal.js";

/** An administrator may do everything, so that a grant says nothing. */
const GRANTED_ROLES = ROLE_VALUES.filter((role) => role !== "admin");

@customElement("pantau-grants-dialog")
export class GrantsDialog extends LitElement {
  static override styles = [shared, form, people];

  @property({ attribute: false }) app!: App;
  /** Only this account's grants, and those of its role; null: all. */
  @property({ attribute: false }) account: string | null = null;
  @state() private grants: readonly GrantView[] | null = null;
  @state() private accounts: readonly AccountView[] = [];
  private readonly asking = new Asking(this);

  constructor() {
    super();
    new Watch(this, () => [this.app.cameras]);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.asking.ask(() => this.read());
  }

  private async read(): Promise<void> {
    [this.grants, this.accounts] = await Promise.all([this.app.api.grants(), this.app.api.accounts()]);
  }

  private change(what: () => Promise<unknown>): Promise<boolean> {
    return this.asking.change(what, () => this.read(), t("grants.changed"));
  }

  private shown(grants: readonly GrantView[]): readonly GrantView[] {
    if (this.account === null) return grants;
    const role = this.accounts.find(({ name }) => name === this.account)?.role;
    return grants.filter((grant) => grant.account === this.account || (grant.role !== null && grant.role === role));
  }

  private cameras({ site, tag, camera }: GrantView): string {
    const parts = [
      ...(camera === null ? [] : [this.app.camera(camera)?.name ?? camera]),
      ...(tag === null ? [] : [t("grants.of-tag", { tag })]),
      ...(site === null ? [] : [t("grants.of-site", { site })]),
    ];
    return parts.join(" · ") || t("grants.all-cameras");
  }

  private times({ from, until }: GrantView): string {
    const text = (time: string) => dateTime(Date.parse(time), language.value);
    const parts = [
      ...(from === null ? [] : [t("grants.from", { time: text(from) })]),
      ...(until === null ? [] : [t("grants.until", { time: text(until) })]),
    ];
    return parts.join(" ") || t("grants.always");
  }

  private row(grant: GrantView): TemplateResult {
    const own = isRolesOwn(grant);
    const gone = isTakenAway(grant);
    const whose = grant.role ? t(`role.${grant.role}`) : (grant.account ?? "");
    const label = t(gone ? "grants.give-back" : "grants.remove");
    return html`<tr>
      <th scope="row">${whose}${grant.role ? html`<br /><span class="meta">${t("grants.role")}</span>` : nothing}</th>
      <td>${gone ? t("grants.taken-away") : grant.rights.map((right) => t(`right.${right}`)).join(", ")}</td>
      <td>${this.cameras(grant)}</td>
      <td>${own ? t("grants.own") : grant.purpose}</td>
      <td>${this.times(grant)}</td>
      <td>${grant.granted_by}</td>
      <td>
        <button class="plain" ?disabled=${this.asking.busy} aria-label=${`${label}: ${whose}`}
          @click=${() => this.change(() => this.app.api.removeGrant(grant.id))}>${label}</button>
      </td>
    </tr>`;
  }

  private async add(event: Event): Promise<void> {
    event.preventDefault();
    const element = event.target as HTMLFormElement;
    const given = new FormData(element);
    const text = (name: string) => String(given.get(name) ?? "").trim();
    const [kind, whose] = [text("who").slice(0, 2), text("who").slice(2)];
    const rights = given.getAll("right") as Right[];
    const [from, until] = [optionalMoment(text("from")), optionalMoment(text("until"))];
    const problem: MessageKey | null =
      rights.length === 0
        ? "grants.no-right"
        : text("purpose") === ""
          ? "grants.no-purpose"
          : from === undefined || until === undefined
            ? "grants.bad-time"
            : from !== null && until !== null && from >= until
              ? "export.bad-range"
              : null;
    if (problem !== null) {
      this.asking.tell(t(problem));
      return;
    }
    const grant: NewGrant = {
      role: kind === "r:" ? (whose as Role) : null,
      account: kind === "a:" ? whose : null,
      rights,
      site: text("site") || null,
      tag: text("tag") || null,
      camera: text("camera") || null,
      purpose: text("purpose"),
      from: from ?? null,
      until: until ?? null,
    };
    if (await this.change(() => this.app.api.addGrant(grant))) element.reset();
  }

  private choices(name: "site" | "tag" | "camera", values: readonly string[]): TemplateResult {
    return html`<label>
      ${t(`grants.${name}`)}
      <input name=${name} list="${name}-choices" autocomplete="off" spellcheck="false" placeholder=${t("grants.any")} />
      <datalist id="${name}-choices">${values.map((value) => html`<option value=${value}></option>`)}</datalist>
    </label>`;
  }

  private time(name: "from" | "until"): TemplateResult {
    return html`<label>
      ${t(`grants.time.${name}`)}
      <input name=${name} autocomplete="off" spellcheck="false" placeholder=${t("form.moment")} />
    </label>`;
  }

  private addForm(): TemplateResult {
    const cameras = [...(this.app.cameras.value?.values() ?? [])];
    const sorted = (values: readonly string[]) => [...new Set(values)].sort();
    return html`<form novalidate @submit=${(event: Event) => this.add(event)}>
      <h3>${t("grants.add")}</h3>
      <div class="three">
        <label>
          ${t("grants.who")}
          <select name="who">
            <optgroup label=${t("grants.roles")}>
              ${GRANTED_ROLES.map((role) => html`<option value="r:${role}">${t(`role.${role}`)}</option>`)}
            </optgroup>
            <optgroup label=${t("people.accounts")}>
              ${this.accounts.map(
                ({ name }) => html`<option value="a:${name}" ?selected=${name === this.account}>${name}</option>`,
              )}
            </optgroup>
          </select>
        </label>
        ${this.choices("site", sorted(cameras.map(({ site }) => site)))}
        ${this.choices("tag", sorted(cameras.flatMap(({ tags }) => tags)))}
        ${this.choices("camera", sorted(cameras.map(({ id }) => id)))}
      </div>
      <fieldset>
        <legend>${t("grants.rights")}</legend>
        ${RIGHT_VALUES.map(
          (right) =>
            html`<label class="check"><input type="checkbox" name="right" value=${right} />${t(`right.${right}`)}</label>`,
        )}
      </fieldset>
      <label>${t("grants.purpose")}<input name="purpose" maxlength="500" autocomplete="off" /></label>
      <div class="three">${this.time("from")} ${this.time("until")}</div>
      <div><button class="primary" ?disabled=${this.asking.busy}>${icon("plus")}${t("grants.add")}</button></div>
    </form>`;
  }

  private body(grants: readonly GrantView[]): TemplateResult {
    const headings = ["who", "rights", "cameras", "purpose", "when", "by"] as const;
    return html`
      ${
        this.account === null
          ? nothing
          : html`<div class="actions">
              <span>${t("grants.for", { name: this.account })}</span>
              <button class="plain" @click=${() => {
                this.account = null;
              }}>${t("grants.show-all")}</button>
            </div>`
      }
      ${peopleTable(
        t("people.grants"),
        headings.map((name) => t(`grants.${name}`)),
        this.shown(grants).map((grant) => this.row(grant)),
        { actions: true },
      )}
      ${this.addForm()}`;
  }

  override render(): TemplateResult {
    const loading = this.asking.busy ? html`<p role="status">${t("grants.loading")}</p>` : nothing;
    return html`<pantau-modal .heading=${t("people.grants")} .actions=${false}
      @close=${() => this.app.show({ dialog: null })}>
      ${peopleTabs(this.app, "grants")} ${this.asking.line()}
      ${this.grants === null ? loading : this.body(this.grants)}
    </pantau-modal>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-grants-dialog": GrantsDialog;
  }
}
