/** Finding cameras by what people remember of them, with typing errors forgiven. */

import type { CameraView } from "../api/generated.js";

/** From this length on a word may have one error, and from that on two. */
const ONE_ERROR_LENGTH = 4;
const TWO_ERRORS_LENGTH = 8;

/** Without accents, in small letters, and in the spelling of today: Soekarno is found as Sukarno. */
export function fold(text: string): string {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replaceAll("oe", "u");
}

export function words(query: string): string[] {
  return fold(query)
    .split(/[\s,;]+/)
    .filter(Boolean);
}

function searchedText({ name, id, site, location, tags }: CameraView): string {
  return fold([name, id, site, location.address, ...tags].join(" "));
}

/** Whether `word` becomes a beginning of `token` by at most `errors` insertions, deletions, replacements or swaps. */
export function almostBegins(token: string, word: string, errors: number): boolean {
  if (token.length < word.length - errors) return false;
  // Damerau-Levenshtein of the word against each beginning of the token, row by row.
  let twoAbove: number[] = [];
  let above = Array.from({ length: token.length + 1 }, (_, i) => i);
  for (let row = 1; row <= word.length; row++) {
    const current = [row];
    for (let column = 1; column <= token.length; column++) {
      const same = word[row - 1] === token[column - 1];
      let cost = Math.min(
        (above[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (above[column - 1] ?? 0) + (same ? 0 : 1),
      );
      const swapped =
        row > 1 && column > 1 && word[row - 1] === token[column - 2] && word[row - 2] === token[column - 1];
      if (swapped) cost = Math.min(cost, (twoAbove[column - 2] ?? 0) + 1);
      current.push(cost);
    }
    twoAbove = above;
    above = current;
  }
  return Math.min(...above.slice(Math.max(word.length - errors, 0))) <= errors;
}

function allowedErrors(word: string): number {
  if (/\d/.test(word) || word.length < ONE_ERROR_LENGTH) return 0;
  return word.length < TWO_ERRORS_LENGTH ? 1 : 2;
}

/** How well a word fits, from 3 (begins a word of it) to 1 (almost); 0 where it does not. */
function fitOf(text: string, tokens: readonly string[], word: string): number {
  if (tokens.some((token) => token.startsWith(word))) return 3;
  if (text.includes(word)) return 2;
  const errors = allowedErrors(word);
  return errors > 0 && tokens.some((token) => almostBegins(token, word, errors)) ? 1 : 0;
}

/** The cameras that have all words of `query`, the best first; those with typing errors only where nothing else fits. */
export function search(cameras: readonly CameraView[], query: string): CameraView[] {
  const asked = words(query);
  if (asked.length === 0) return [...cameras];
  const found = cameras.flatMap((camera) => {
    const text = searchedText(camera);
    const tokens = text.split(/[^\p{L}\p{N}]+/u);
    const fits = asked.map((word) => fitOf(text, tokens, word));
    const worst = Math.min(...fits);
    return worst > 0 ? [{ camera, worst, sum: fits.reduce((a, b) => a + b, 0) }] : [];
  });
  const exact = found.filter(({ worst }) => worst > 1);
  return (exact.length > 0 ? exact : found).sort((a, b) => b.sum - a.sum).map(({ camera }) => camera);
}
