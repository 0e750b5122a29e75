/** Who may sign in: all accounts, and one account with its password, sign-ins, API tokens and end. */

import { html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import {
  type AccountChange,
  type AccountView,
  type NewAccount,
  ROLE_VALUES,
  type Role,
  type SignInView,
} from "../api/generated.js";
import type { App } from "../app/app.js";
import { LANGUAGES, language, t } from "../i18n/index.js";
import { dateTime, sinceTime } from "../model/format.js";
import { ACCOUNT_NAME, SHORTEST_PASSWORD } from "../model/people.js";
import { siteNow } from "../model/site-clock.js";
import { Asking } from "./asking.js";
import { icon } from "./icons.js";
import { people, peopleTable, peopleTabs } from "./people-tabs.js";
import { form, shared } from "./styles.js";
import { Watch } from "./watch.js";
import "./modal.js";

@customElement("pantau-accounts-dialog")
export class AccountsDialog extends LitElement {
  static override styles = [shared, form, people];

  @property({ attribute: false }) app!: App;
  /** The account that is shown; null: all. */
  @property({ attribute: false }) account: string | null = null;
  @state() private accounts: readonly AccountView[] | null = null;
  @state() private signIns: readonly SignInView[] = [];
  @state() private removing = false;
  private readonly asking = new Asking(this);

  constructor() {
    super();
    new Watch(this, () => [this.app.me]);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    void this.asking.ask(() => this.read());
  }

  private async read(): Promise<void> {
    const name = this.account;
    const [accounts, signIns] = await Promise.all([
      this.app.api.accounts(),
      name === null ? [] : this.app.api.signIns(name),
    ]);
    this.accounts = accounts;
    // Another account may have been opened meanwhile.
    if (name === this.account) this.signIns = signIns;
  }

  private change(what: () => Promise<unknown>, done?: string): Promise<boolean> {
    return this.asking.change(what, () => this.read(), done);
  }

  private open(account: string | null): void {
    this.account = account;
    this.removing = false;
    this.signIns = [];
    void this.change(async () => undefined);
  }

  private stateText({ disabled, has_password, totp, source }: AccountView): string {
    if (disabled) return t("accounts.disabled");
    const ways = [
      has_password ? t("accounts.by-password") : t("accounts.by-other"),
      ...(totp ? [t("account.totp")] : []),
      ...(source === "file" ? [t("accounts.of-file")] : []),
    ];
    return ways.join(" · ");
  }

  private row(account: AccountView): TemplateResult {
    return html`<tr>
      <th scope="row">${account.name}</th>
      <td>${t(`role.${account.role}`)}</td>
      <td>${this.stateText(account)}</td>
      <td>${account.signed_in}</td>
      <td>
        <button class="plain" aria-label=${t("accounts.open", { name: account.name })}
          @click=${() => this.open(account.name)}>${icon("edit")}${t("accounts.manage")}</button>
      </td>
    </tr>`;
  }

  private roles(chosen: Role): TemplateResult[] {
    return ROLE_VALUES.map(
      (role) => html`<option value=${role} ?selected=${role === chosen}>${t(`role.${role}`)}</option>`,
    );
  }

  private async add(event: Event): Promise<void> {
    event.preventDefault();
    const element = event.target as HTMLFormElement;
    const given = new FormData(element);
    const [name, password] = [String(given.get("name")).trim(), String(given.get("password"))];
    if (!ACCOUNT_NAME.test(name)) {
      this.asking.tell(t("accounts.bad-name"));
      return;
    }
    if (password !== "" && password.length < SHORTEST_PASSWORD) {
      this.asking.tell(t("account.weak", { count: SHORTEST_PASSWORD }));
      return;
    }
    const made: NewAccount = {
      name,
      role: given.get("role") as Role,
      locale: (given.get("locale") || null) as NewAccount["locale"] & string,
      password: password || null,
    };
    if (await this.change(() => this.app.api.addAccount(made), t("accounts.added", { name }))) element.reset();
  }

  private addForm(first: boolean): TemplateResult {
    return html`<form novalidate @submit=${(event: Event) => this.add(event)}>
      <h3>${t("accounts.add")}</h3>
      ${first ? html`<p class="meta">${t("accounts.first")}</p>` : nothing}
      <div class="three">
        <label>${t("form.name")}<input name="name" autocomplete="off" spellcheck="false" maxlength="64" required /></label>
        <label>${t("accounts.role")}<select name="role">${this.roles(first ? "admin" : "operator")}</select></label>
        <label>
          ${t("accounts.password")}
          <input type="password" name="password" autocomplete="new-password" aria-describedby="no-password" />
        </label>
        <label>
          ${t("accounts.locale")}
          <select name="locale">
            <option value="">${t("accounts.locale.any")}</option>
            ${LANGUAGES.map((each) => html`<option value=${each}>${t(`accounts.locale.${each}`)}</option>`)}
          </select>
        </label>
      </div>
      <p id="no-password" class="hint">${t("accounts.no-password")}</p>
      <div><button class="primary" ?disabled=${this.asking.busy}>${icon("plus")}${t("accounts.add")}</button></div>
    </form>`;
  }

  private all(accounts: readonly AccountView[]): TemplateResult {
    const headings = ["form.name", "accounts.role", "accounts.by", "accounts.signed-in"] as const;
    return html`
      ${peopleTable(
        t("people.accounts"),
        headings.map((key) => t(key)),
        accounts.map((account) => this.row(account)),
        { actions: true },
      )}
      ${this.addForm(accounts.length === 0)}`;
  }

  private patch(name: string, changes: AccountChange, done = ""): Promise<boolean> {
    return this.change(() => this.app.api.updateAccount(name, changes), done);
  }

  /** A role that was refused does not stay chosen. */
  private async changeRole(event: Event, { name, role }: AccountView): Promise<void> {
    const select = event.target as HTMLSelectElement;
    if (!(await this.patch(name, { role: select.value as Role }))) select.value = role;
  }

  private async resetPassword(event: Event, name: string): Promise<void> {
    event.preventDefault();
    const element = event.target as HTMLFormElement;
    const password = String(new FormData(element).get("password"));
    if (password.length < SHORTEST_PASSWORD) {
      this.asking.tell(t("account.weak", { count: SHORTEST_PASSWORD }));
      return;
    }
    if (await this.patch(name, { password }, t("accounts.reset.done", { name }))) element.reset();
  }

  /** What can be changed: not of the accounts file, and nobody takes their own rights away. */
  private settings(account: AccountView): TemplateResult | typeof nothing {
    const { name } = account;
    if (account.source === "file") return html`<p class="meta">${t("accounts.file.hint")}</p>`;
    if (name === this.app.me.value?.name) return html`<p class="meta">${t("accounts.own.hint")}</p>`;
    return html`
      <div class="three">
        <label>
          ${t("accounts.role")}
          <select name="role" @change=${(event: Event) => this.changeRole(event, account)}>
            ${this.roles(account.role)}
          </select>
        </label>
      </div>
      <form novalidate @submit=${(event: Event) => this.resetPassword(event, name)}>
        <div class="three">
          <label>
            ${t("account.new")}
            <input type="password" name="password" autocomplete="new-password" />
          </label>
        </div>
        <div><button class="plain" ?disabled=${this.asking.busy}>${t("accounts.reset")}</button></div>
      </form>
      <div class="actions">
        <button class="plain" ?disabled=${this.asking.busy}
          @click=${() => this.patch(name, { disabled: !account.disabled })}>
          ${t(account.disabled ? "accounts.enable" : "accounts.disable")}
        </button>
        ${
          account.totp
            ? html`<button class="plain" ?disabled=${this.asking.busy} @click=${() => this.patch(name, { totp: null })}>
                ${t("accounts.totp.remove")}
              </button>`
            : nothing
        }
        ${this.removal(name)}
      </div>`;
  }

  private async removeAccount(name: string): Promise<void> {
    const removed = await this.asking.ask(() => this.app.api.removeAccount(name));
    if (removed) this.open(null);
  }

  private removal(name: string): TemplateResult {
    if (!this.removing) {
      return html`<button class="danger" @click=${() => {
        this.removing = true;
      }}>${t("accounts.remove")}</button>`;
    }
    return html`<span>${t("accounts.remove.sure", { name })}</span>
      <button class="plain" @click=${() => {
        this.removing = false;
      }}>${t("dialog.cancel")}</button>
      <button class="danger" ?disabled=${this.asking.busy} @click=${() => this.removeAccount(name)}>${t("accounts.remove")}</button>`;
  }

  private signInRow({ id, kind, agent, address, used, expires, current }: SignInView): TemplateResult {
    const [now, what] = [siteNow(), agent || address || id];
    return html`<tr>
      <td>${t(`sign-in.${kind}`)}</td>
      <td>${what}${agent && address ? html`<br /><span class="meta">${address}</span>` : nothing}</td>
      <td>${sinceTime(Date.parse(used), now, language.value)}</td>
      <td>${dateTime(Date.parse(expires), language.value)}</td>
      <td>
        ${
          current
            ? t("account.here")
            : html`<button class="plain" ?disabled=${this.asking.busy} aria-label=${`${t("accounts.end")}: ${what}`}
                @click=${() => this.change(() => this.app.api.endSignIn(id))}>
                ${t(kind === "api" ? "tokens.remove" : "accounts.end")}
              </button>`
        }
      </td>
    </tr>`;
  }

  private async endAll(): Promise<void> {
    const others = this.signIns.filter(({ kind, current }) => kind !== "api" && !current);
    await this.change(() => Promise.all(others.map(({ id }) => this.app.api.endSignIn(id))), t("accounts.ended"));
  }

  private one(account: AccountView): TemplateResult {
    const { name } = account;
    const headings = ["sign-in.kind", "sign-in.from", "sign-in.used", "sign-in.expires"] as const;
    return html`
      <div class="actions">
        <button class="plain" @click=${() => this.open(null)}>${t("accounts.back")}</button>
        <button class="plain" @click=${() => this.app.show({ dialog: { kind: "grants", account: name } })}>
          ${icon("lock")}${t("accounts.rights")}
        </button>
        <button class="plain" @click=${() => this.app.show({ dialog: { kind: "audit", camera: null, person: name } })}>
          ${icon("saw")}${t("accounts.audit")}
        </button>
      </div>
      <section>
        <h3>${name} · ${t(`role.${account.role}`)} · ${this.stateText(account)}</h3>
        ${this.settings(account)}
      </section>
      <section>
        <h3>${t("accounts.sessions")}</h3>
        ${
          this.signIns.length === 0
            ? html`<p class="meta">${t("accounts.sessions.none")}</p>`
            : html`${peopleTable(
                t("accounts.sessions"),
                headings.map((key) => t(key)),
                this.signIns.map((each) => this.signInRow(each)),
                { actions: true },
              )}
                <div>
                  <button class="plain" ?disabled=${this.asking.busy} @click=${() => this.endAll()}>
                    ${t("accounts.end-all")}
                  </button>
                </div>`
        }
      </section>`;
  }

  private body(): TemplateResult | typeof nothing {
    if (this.accounts === null) return this.asking.busy ? html`<p role="status">${t("accounts.loading")}</p>` : nothing;
    if (this.account === null) return this.all(this.accounts);
    const account = this.accounts.find(({ name }) => name === this.account);
    return account ? this.one(account) : html`<p role="status">${t("problem.not-found")}</p>`;
  }

  override render(): TemplateResult {
    return html`<pantau-modal .heading=${t("people.accounts")} .actions=${false}
      @close=${() => this.app.show({ dialog: null })}>
      ${peopleTabs(this.app, "accounts")} ${this.asking.line()}
      ${this.body()}
    </pantau-modal>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-accounts-dialog": AccountsDialog;
  }
}
