/** A failed request in the page's language. The server's own text is English: it is for logs. */

import type { ApiError } from "../api/client.js";
import { isMessageKey, t } from "../i18n/index.js";

export function problemText({ code, status }: Pick<ApiError, "code" | "status">): string {
  const key = `problem.${code}`;
  return isMessageKey(key) ? t(key) : t("problem.unknown", { code: code || String(status) });
}
