/** Where a jump to activity looks from, and where it lands. Times in Unix ms. */

/** A jump lands a little before the activity, so that its beginning is seen. */
export const LEAD_MS = 2000;
/** Within this after a jump, "previous" means the activity before the one that was jumped to. */
const SAME_MS = 1500;

/** The moment that activity is to begin after (1) or before (−1), when `nowMs` is on the screen. */
export function aheadOf(nowMs: number, by: 1 | -1): number {
  return by === 1 ? nowMs + LEAD_MS : nowMs + LEAD_MS - SAME_MS;
}
