/** Counts pictures that come to the screen, one a look at most. */

/**
 * By `requestVideoFrameCallback`: in Firefox `getVideoPlaybackQuality().totalVideoFrames` is 0 for a MediaStream, and
 * `currentTime` runs on while no picture comes.
 */
export class PresentedFrames {
  private count = 0;
  private request: number | null = null;

  constructor(
    private readonly video: Pick<HTMLVideoElement, "requestVideoFrameCallback" | "cancelVideoFrameCallback">,
  ) {}

  /** A number that differs from the last look's where a picture has come since. Looks for the next one. */
  look(): number {
    this.request ??= this.video.requestVideoFrameCallback(() => {
      this.request = null;
      this.count += 1;
    });
    return this.count;
  }

  stop(): void {
    if (this.request !== null) this.video.cancelVideoFrameCallback(this.request);
    this.request = null;
  }
}
