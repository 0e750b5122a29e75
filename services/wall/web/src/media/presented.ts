/** Looks at pictures that come to the screen, one a look at most. */

type Watched = Pick<
  HTMLVideoElement,
  "getVideoPlaybackQuality" | "requestVideoFrameCallback" | "cancelVideoFrameCallback"
>;

/**
 * By `requestVideoFrameCallback` where a picture's timestamp is asked for, or the browser counts none: in Firefox
 * `getVideoPlaybackQuality().totalVideoFrames` is 0 for a MediaStream. (`currentTime` runs on while no picture comes.) Else
 * by that count: a callback costs the page a turn of style, layout and paint, and 36 tiles ask four times a second.
 */
export class PresentedFrames {
  private request: number | null = null;
  private counted = 0;

  /** `onFrame` gets the picture's RTP timestamp; null where it was not asked for, and in browsers that do not tell. */
  constructor(
    private readonly video: Watched,
    private readonly onFrame: (rtp: number | null) => void,
  ) {}

  /** Tells of a picture that has come since the last look, or asks for the next one. */
  look(timestamp: boolean): void {
    const { totalVideoFrames } = this.video.getVideoPlaybackQuality();
    const more = totalVideoFrames !== this.counted;
    this.counted = totalVideoFrames;
    if (timestamp || totalVideoFrames === 0) {
      this.request ??= this.video.requestVideoFrameCallback((_, metadata) => {
        this.request = null;
        this.onFrame(metadata.rtpTimestamp ?? null);
      });
    } else if (more) this.onFrame(null);
  }

  stop(): void {
    if (this.request !== null) this.video.cancelVideoFrameCallback(this.request);
    this.request = null;
  }
}
