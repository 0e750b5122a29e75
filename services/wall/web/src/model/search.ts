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

interface SearchedText {
  text: string;
  tokens: readonly string[];
}

/** Folding thousands of names takes longer than a key may: each camera's is kept as long as the camera is. */
const searched = new WeakMap<CameraView, SearchedText>();

function searchedText(camera: CameraView): SearchedText {
  let found = searched.get(camera);
  if (!found) {
    const { name, id, site, location, tags } = camera;
    found = tokenized([name, id, site, location.address, ...tags].join(" "));
    searched.set(camera, found);
  }
  return found;
}

function tokenized(words: string): SearchedText {
  const text = fold(words);
  return { text, tokens: text.split(/[^\p{L}\p{N}]+/u).filter(Boolean) };
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

/** Whether a word fits a token with typing errors, each pair decided once in a search. */
class TypingErrors {
  private readonly decided = new Map<string, boolean>();

  constructor(
    private readonly word: string,
    private readonly errors: number,
  ) {}

  fits(token: string): boolean {
    if (this.errors === 0) return false;
    let fits = this.decided.get(token);
    if (fits === undefined) {
      fits = almostBegins(token, this.word, this.errors);
      this.decided.set(token, fits);
    }
    return fits;
  }
}

/** How well a word fits: 3 where it begins a word of the text, 2 where it stands in it; 0 where it does not. */
function exactFit({ text, tokens }: SearchedText, word: string): number {
  if (!text.includes(word)) return 0;
  return tokens.some((token) => token.startsWith(word)) ? 3 : 2;
}

/**
 * The cameras that have all words of `query`, the best first; those with typing errors only where nothing else fits.
 * `stateOf` gives further words of a camera: what is the matter with it just now, as the page says it.
 */
export function search(
  cameras: readonly CameraView[],
  query: string,
  stateOf: (camera: CameraView) => string = () => "",
): CameraView[] {
  const asked = words(query);
  if (asked.length === 0) return [...cameras];
  const states = new Map<string, SearchedText>();
  const texts = cameras.map((camera): [SearchedText, SearchedText] => {
    const words = stateOf(camera);
    const state = states.get(words) ?? tokenized(words);
    states.set(words, state);
    return [searchedText(camera), state];
  });
  const exact = ranked(
    cameras,
    texts,
    asked.map((word) => (text) => exactFit(text, word)),
  );
  if (exact.length > 0) return exact;
  const errors = asked.map((word) => new TypingErrors(word, allowedErrors(word)));
  const almost = errors.map((typing, i) => (text: SearchedText) => {
    const fit = exactFit(text, asked[i] ?? "");
    return fit > 0 ? fit : Number(text.tokens.some((token) => typing.fits(token)));
  });
  return ranked(cameras, texts, almost);
}

/** The cameras whose texts fit all words, the best first; `fitters` has one for each word. */
function ranked(
  cameras: readonly CameraView[],
  texts: readonly (readonly SearchedText[])[],
  fitters: readonly ((text: SearchedText) => number)[],
): CameraView[] {
  const found: { camera: CameraView; sum: number }[] = [];
  cameras.forEach((camera, i) => {
    let sum = 0;
    for (const fit of fitters) {
      const best = Math.max(...(texts[i] ?? []).map(fit));
      if (best === 0) return;
      sum += best;
    }
    found.push({ camera, sum });
  });
  return found.sort((a, b) => b.sum - a.sum).map(({ camera }) => camera);
}
