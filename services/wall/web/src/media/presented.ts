/** Looks at pictures that come to the screen, one a look at most. */

/**
 * By `requestVideoFrameCallback`: in Firefox `getVideoPlaybackQuality().totalVideoFrames` is 0 for a MediaStream, and
 * `currentTime` runs on while no picture comes.
 */
export class PresentedFrames {
  private request: number | null = null;

  /** `onFrame` gets the picture's RTP timestamp; null in browsers that do not tell. */
  constructor(
    private readonly video: Pick<HTMLVideoElement, "requestVideoFrameCallback" | "cancelVideoFrameCallback">,
    private readonly onFrame: (rtp: number | null) => void,
  ) {}

  /** Asks for the next picture. */
  look(): void {
    this.request ??= this.video.requestVideoFrameCallback((_, metadata) => {
      this.request = null;
      this.onFrame(metadata.rtpTimestamp ?? null);
    });
  }

  stop(): void {
    if (this.request !== null) this.video.cancelVideoFrameCallback(this.request);
    this.request = null;
  }
}
