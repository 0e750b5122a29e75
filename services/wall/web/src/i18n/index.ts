/** The interface's languages: typed messages, the choice and its memory. */

import { Observable } from "../model/observable.js";
import { en, type MessageKey, type Messages } from "./en.js";
import { id } from "./id.js";

export type { MessageKey };

export const LANGUAGES = ["id", "en"] as const;
export type Language = (typeof LANGUAGES)[number];
export const CATALOGUES: Readonly<Record<Language, Messages>> = { en, id };

const STORAGE_KEY = "pantau.language";

export function isLanguage(text: string | null | undefined): text is Language {
  return (LANGUAGES as readonly (string | null | undefined)[]).includes(text);
}

/** The first language that we speak among what was chosen, the person's locale and the browser's wishes; else English. */
export function pickLanguage(wishes: readonly (string | null | undefined)[]): Language {
  for (const wish of wishes) {
    // "in" is what old systems call Bahasa Indonesia.
    const primary = wish?.toLowerCase().split(/[-_]/, 1)[0];
    if (primary === "in") return "id";
    if (isLanguage(primary)) return primary;
  }
  return "en";
}

/** Puts `params` into a message's {places}. */
export function fillPlaces(message: string, params: Readonly<Record<string, string | number>>): string {
  return message.replace(/\{(\w+)\}/g, (place, name: string) => String(params[name] ?? place));
}

export const language = new Observable<Language>("en");

/** The message in the chosen language. */
export function t(key: MessageKey, params: Readonly<Record<string, string | number>> = {}): string {
  return fillPlaces(CATALOGUES[language.value][key], params);
}

export function isMessageKey(key: string): key is MessageKey {
  return Object.hasOwn(en, key);
}

/** The message for a gap's cause, which is a cause of the recorder's or a reason of ingest's; null for one not known here. */
export function causeKey(cause: string): MessageKey | null {
  return [`cause.${cause}`, `reason.${cause}`].find(isMessageKey) ?? null;
}

/** A gap's cause in the chosen language; unknown ones as they come. */
export function causeText(cause: string): string {
  const key = causeKey(cause);
  return key ? t(key) : cause;
}

/** Takes up the remembered choice, else what the browser wishes. */
export function startLanguage(storage: Pick<Storage, "getItem">, wishes: readonly string[]): void {
  language.set(pickLanguage([storage.getItem(STORAGE_KEY), ...wishes]));
}

/** The person's own locale counts where they never chose here. */
export function offerLocale(storage: Pick<Storage, "getItem">, locale: string | null | undefined): void {
  if (storage.getItem(STORAGE_KEY) === null && locale) language.set(pickLanguage([locale]));
}

export function chooseLanguage(storage: Pick<Storage, "setItem">, choice: Language): void {
  storage.setItem(STORAGE_KEY, choice);
  language.set(choice);
}
