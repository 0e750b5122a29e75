/** RTP timestamps: 32 bits at 90 kHz that wrap around (RFC 3550 section 5.1). */

const MODULUS = 2 ** 32;
const HALF = 2 ** 31;
export const CLOCK_HZ = 90_000;

/** `a − b` in ticks, the short way around. */
export function rtpDifference(a: number, b: number): number {
  const difference = (((a - b) % MODULUS) + MODULUS) % MODULUS;
  return difference < HALF ? difference : difference - MODULUS;
}

/** Whether `rtp` is at or after `mark`. */
export function reached(rtp: number, mark: number): boolean {
  return rtpDifference(rtp, mark) >= 0;
}

/** When the picture with timestamp `rtp` was taken, in Unix µs, by a mark of the same run, which goes at `rate`. */
export function captureTimeUs(rtp: number, mark: { rtp: number; capture_us: number }, rate = 1): number {
  return mark.capture_us + (rtpDifference(rtp, mark.rtp) * rate * 1_000_000) / CLOCK_HZ;
}
