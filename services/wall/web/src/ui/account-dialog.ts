/** One's own account: the password, where one is signed in, and the lock after idle. */

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { ApiError } from "../api/client.js";
import type { SignInView, TotpOffer } from "../api/generated.js";
import type { App } from "../app/app.js";
import { LOCK_MINUTES } from "../app/idle-lock.js";
import { problemText } from "../app/problem.js";
import { language, t } from "../i18n/index.js";
import { sinceTime } from "../model/format.js";
import { SHORTEST_PASSWORD } from "../model/people.js";
import { siteNow } from "../model/site-clock.js";
import { icon } from "./icons.js";
import { form, sections, shared } from "./styles.js";
import { Watch } from "./watch.js";
import "./modal.js";
import "./own-tokens.js";

type Field = "old" | "new" | "again";

@customElement("pantau-account-dialog")
export class AccountDialog extends LitElement {
  static override styles = [
    shared,
    form,
    sections,
    css`
      section {
        display: grid;
        gap: 10px;
        margin-bottom: 20px;
      }
      li {
        display: flex;
        align-items: center;
        gap: 10px;
        min-height: 40px;
      }
      li span {
        flex: 1;
        min-width: 0;
        overflow-wrap: anywhere;
        font-variant-numeric: tabular-nums;
      }
      .codes {
        display: grid;
        grid-template-columns: 1fr 1fr;
      }
      .codes li {
        min-height: 28px;
      }
      code {
        overflow-wrap: anywhere;
        font-size: 15px;
        user-select: all;
      }
      a {
        color: var(--text);
      }
      .done {
        color: var(--good);
      }
    `,
  ];

  @property({ attribute: false }) app!: App;
  @state() private fields: Record<Field, string> = { old: "", new: "", again: "" };
  @state() private problem = "";
  @state() private done = "";
  @state() private signIns: readonly SignInView[] = [];
  @state() private offer: TotpOffer | null = null;
  @state() private codes: readonly string[] = [];

  constructor() {
    super();
    new Watch(this, () => [this.app.me, this.app.idle.minutes]);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.app.signedIn) void this.ask(() => this.readSignIns());
  }

  private async readSignIns(): Promise<void> {
    this.signIns = await this.app.api.signIns();
  }

  private async ask(question: () => Promise<void>): Promise<boolean> {
    this.problem = "";
    this.done = "";
    try {
      await question();
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.fields.old !== undefined) this.problem = t("account.wrong");
      else if (error.fields.password !== undefined) this.problem = t("account.wrong");
      else if (error.fields.code !== undefined) this.problem = t("account.totp.wrong");
      else if (error.fields.new !== undefined) this.problem = t("account.weak", { count: SHORTEST_PASSWORD });
      else this.problem = t("dialog.failed", { detail: problemText(error) });
      return false;
    }
  }

  private async changePassword(event: Event): Promise<void> {
    event.preventDefault();
    const { old, new: next, again } = this.fields;
    if (next !== again) {
      this.problem = t("account.differ");
      return;
    }
    if (!(await this.ask(() => this.app.api.changePassword({ old, new: next })))) return;
    this.fields = { old: "", new: "", again: "" };
    this.done = t("account.changed");
    await this.readSignIns().catch(() => undefined);
  }

  private input(name: Field, autocomplete: "current-password" | "new-password"): TemplateResult {
    return html`<label>
      ${t(`account.${name}`)}
      <input type="password" name=${name} autocomplete=${autocomplete} required .value=${this.fields[name]}
        @input=${(event: Event) => {
          this.fields = { ...this.fields, [name]: (event.target as HTMLInputElement).value };
        }} />
    </label>`;
  }

  private password(): TemplateResult | typeof nothing {
    if (!this.app.me.value?.password_changeable) return nothing;
    return html`<section>
      <h3>${t("account.password")}</h3>
      <form class="fields" @submit=${(event: Event) => this.changePassword(event)}>
        ${this.input("old", "current-password")}
        <div class="row">${this.input("new", "new-password")} ${this.input("again", "new-password")}</div>
        <div><button class="primary">${t("account.change")}</button></div>
      </form>
    </section>`;
  }

  private async offerTotp(): Promise<void> {
    await this.ask(async () => {
      this.offer = await this.app.api.offerTotp();
    });
  }

  private async confirmTotp(event: Event): Promise<void> {
    event.preventDefault();
    const { offer } = this;
    const given = new FormData(event.target as HTMLFormElement);
    if (offer === null) return;
    await this.ask(async () => {
      const [code, password] = [String(given.get("code")).trim(), String(given.get("password"))];
      this.codes = await this.app.api.confirmTotp({ secret: offer.secret, code, password });
      this.offer = null;
      await this.app.refreshMe();
    });
  }

  private async removeTotp(event: Event): Promise<void> {
    event.preventDefault();
    const given = new FormData(event.target as HTMLFormElement);
    await this.ask(async () => {
      await this.app.api.removeTotp(String(given.get("password")));
      this.codes = [];
      await this.app.refreshMe();
    });
  }

  private passwordInput(): TemplateResult {
    return html`<label>
      ${t("account.old")}
      <input type="password" name="password" autocomplete="current-password" required />
    </label>`;
  }

  private secondFactor(): TemplateResult | typeof nothing {
    const me = this.app.me.value;
    if (!me?.password_changeable) return nothing;
    return html`<section>
      <h3>${t("account.totp")}</h3>
      ${
        this.codes.length > 0
          ? html`<p role="status">${t("account.totp.codes")}</p>
              <ul class="codes">${this.codes.map((code) => html`<li><code>${code}</code></li>`)}</ul>`
          : nothing
      }
      ${this.secondFactorForm(me.totp)}
    </section>`;
  }

  private secondFactorForm(on: boolean): TemplateResult {
    if (on) {
      return html`<form class="fields" @submit=${(event: Event) => this.removeTotp(event)}>
        <p class="meta">${t("account.totp.on")}</p>
        ${this.passwordInput()}
        <div><button class="danger">${t("account.totp.remove")}</button></div>
      </form>`;
    }
    if (this.offer === null) {
      return html`<div>
        <button class="plain" @click=${() => this.offerTotp()}>${icon("lock")}${t("account.totp.begin")}</button>
      </div>`;
    }
    return html`<form class="fields" @submit=${(event: Event) => this.confirmTotp(event)}>
      <p>${t("account.totp.secret")}<br /><code>${this.offer.secret}</code></p>
      <p><a href=${this.offer.uri}>${t("account.totp.open")}</a></p>
      <div class="row">
        <label>
          ${t("lock.code")}
          <input name="code" inputmode="numeric" autocomplete="one-time-code" required />
        </label>
        ${this.passwordInput()}
      </div>
      <div><button class="primary">${t("account.totp.confirm")}</button></div>
    </form>`;
  }

  private signInRow({ id, agent, address, used, current }: SignInView): TemplateResult {
    const when = sinceTime(Date.parse(used), siteNow(), language.value);
    return html`<li>
      <span>${agent || address || id}<br /><span class="meta">${address} · ${current ? t("account.here") : when}</span></span>
      ${
        current
          ? nothing
          : html`<button class="plain" @click=${() =>
              this.ask(async () => {
                await this.app.api.endSignIn(id);
                await this.readSignIns();
              })}>${t("account.end")}</button>`
      }
    </li>`;
  }

  override render(): TemplateResult {
    const { app } = this;
    const me = app.me.value;
    const heading = me ? t("bar.person", { name: me.name, role: t(`role.${me.role}`) }) : t("account.title");
    return html`<pantau-modal .heading=${heading} @close=${() => app.show({ dialog: null })}>
      ${this.problem ? html`<p class="error" role="alert">${this.problem}</p>` : nothing}
      ${this.done ? html`<p class="done" role="status">${this.done}</p>` : nothing}
      ${this.password()} ${this.secondFactor()}
      <section>
        <h3>${t("account.signed-in")}</h3>
        <ul>${this.signIns.map((each) => this.signInRow(each))}</ul>
      </section>
      ${app.signedIn ? html`<pantau-own-tokens .app=${app}></pantau-own-tokens>` : nothing}
      <section>
        <label>
          ${t("account.lock")}
          <select name="lock" @change=${(event: Event) => app.idle.setMinutes(Number((event.target as HTMLSelectElement).value))}>
            ${LOCK_MINUTES.map(
              (minutes) => html`<option value=${minutes} ?selected=${app.idle.minutes.value === minutes}>
                ${minutes === 0 ? t("account.lock.never") : t("account.lock.after", { minutes })}
              </option>`,
            )}
          </select>
        </label>
        <div>
          <button class="plain" @click=${() => {
            app.show({ dialog: null });
            app.idle.lock(me?.session ?? "");
          }}>${icon("lock")}${t("account.lock.now")}</button>
        </div>
      </section>
      <button slot="actions" class="plain" @click=${() => app.show({ dialog: null })}>${t("dialog.close")}</button>
    </pantau-modal>`;
  }
}

declare global {
  interface HTMLElementTagNameMap {
    "pantau-account-dialog": AccountDialog;
  }
}
