/** An input for one end of a range of time, to the second, in the browser's own zone. */

import { html, type TemplateResult } from "lit";
import { t } from "../i18n/index.js";

export function momentInput(
  name: "from" | "to",
  value: string,
  change: (value: string) => void,
  disabled = false,
): TemplateResult {
  return html`<label>
    ${t(`export.${name}`)}
    <input type="datetime-local" name=${name} step="1" .value=${value} ?disabled=${disabled}
      @change=${(event: Event) => change((event.target as HTMLInputElement).value)} />
  </label>`;
}
