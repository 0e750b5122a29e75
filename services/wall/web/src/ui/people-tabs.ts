/** What the dialogs about people share: the tabs between them, as far as one may, and the look of their tables. */

import { css, html, nothing, type TemplateResult } from "lit";
import type { App } from "../app/app.js";
import { t } from "../i18n/index.js";
import { sections, table } from "./styles.js";

const TABS = ["accounts", "grants", "audit"] as const;
type Tab = (typeof TABS)[number];

export function peopleTabs(app: App, current: Tab): TemplateResult | typeof nothing {
  if (!app.may("admin")) return nothing;
  const open = (kind: Tab) =>
    app.show({ dialog: kind === "audit" ? { kind, camera: null, person: null } : { kind, account: null } });
  return html`<nav aria-label=${t("people.title")}>
    ${TABS.map(
      (kind) => html`<button class="plain" aria-pressed=${kind === current} @click=${() => open(kind)}>
        ${t(`people.${kind}`)}
      </button>`,
    )}
  </nav>`;
}

/** A table that is moved sideways where it is too wide, also by keys. `actions`: rows end with buttons. */
export function peopleTable(
  label: string,
  headings: readonly string[],
  rows: readonly TemplateResult[],
  { actions }: { actions: boolean },
): TemplateResult {
  return html`<div class="table" tabindex="0" role="region" aria-label=${label}>
    <table>
      <thead>
        <tr>
          ${headings.map((heading) => html`<th scope="col">${heading}</th>`)} ${actions ? html`<td></td>` : nothing}
        </tr>
      </thead>
      <tbody>${rows}</tbody>
    </table>
  </div>`;
}

const own = css`
  pantau-modal {
    --modal-width: 1180px;
  }
  nav,
  .actions {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 8px;
  }
  nav {
    margin-bottom: 14px;
  }
  section,
  form {
    display: grid;
    gap: 12px;
    margin-top: 18px;
  }
  .table {
    overflow-x: auto;
  }
  th,
  td {
    overflow-wrap: break-word; /* A column is as wide as its longest word, and the table is moved sideways. */
    hyphens: manual;
  }
  .done {
    color: var(--good);
  }
  .warn {
    color: var(--warn);
  }
  .three {
    display: grid;
    grid-template-columns: repeat(auto-fit, minmax(190px, 1fr));
    gap: 12px;
  }
  fieldset {
    display: flex;
    flex-wrap: wrap;
    gap: 6px 18px;
    margin: 0;
    padding: 8px 12px;
    border: 1px solid var(--line);
    border-radius: 6px;
  }
  legend {
    color: var(--text-soft);
    font-size: 13px;
  }
  a {
    color: var(--text);
  }
  code {
    overflow-wrap: anywhere;
    user-select: all;
  }
`;

/** The look of what they have in common. */
export const people = [sections, table, own];
