/** One tile's moving picture: the video element, the still over it, and the decision which of the two is seen. */

import type { SlotNotice } from "../api/generated.js";
import type { Source } from "../api/types.js";
import { Freshness } from "../model/freshness.js";
import { type PictureAction, REST_MS, Reveal } from "../model/reveal.js";
import { displayRatio } from "../model/scale.js";
import { siteNow } from "../model/site-clock.js";
import { PresentedFrames } from "./presented.js";

/** Longer than this no picture of a recording that plays is awaited, be it slowly and of few pictures a second. */
const AWAITED_MS = 1500;
/** Nobody who saves a still waits longer than this for the next frame. */
const NEXT_FRAME_MS = 500;

export interface PictureState {
  /** Something of the aimed camera is on the screen: moving, or a still of it. */
  hasPicture: boolean;
  /** When the last fresh picture came, where the one on the screen is not. */
  staleSinceMs: number | null;
}

export class Picture {
  private readonly reveal = new Reveal();
  private readonly freshness = new Freshness();
  private readonly presented: PresentedFrames;
  private track: MediaStreamTrack | null = null;
  private stillShown = false;
  /** The video stands on its first frame, and is seen. */
  private bare = false;
  private frameRequest: number | null = null;
  private restTimer: ReturnType<typeof setTimeout> | undefined;
  /** What `onChange` was told last. */
  private toldStale: number | null = null;
  private notice: SlotNotice | null = null;
  private source: Source = "live";
  /** Timestamp of the newest frame that was looked at; null where only its coming is known. */
  lastRtp: number | null = null;
  /** When the newest picture that was looked at came to the screen (ms); null before the first. */
  cameMs: number | null = null;
  private follow = false;
  private delayRequest: number | null = null;
  private delayRequestedMs = 0;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly canvas: HTMLCanvasElement,
    private readonly onChange: (state: PictureState) => void,
    /** A replay's first frame has come to the screen. */
    private readonly onSeen: (rtp: number) => void,
  ) {
    this.presented = new PresentedFrames(video, (rtp) => {
      this.lastRtp = rtp;
      this.cameMs = siteNow();
      this.freshness.frame(rtp, this.cameMs);
      this.tellStale();
    });
    video.style.opacity = "0";
    this.setStill(false);
  }

  get state(): PictureState {
    const hasPicture = this.stillShown || this.bare || this.reveal.shown;
    return { hasPicture, staleSinceMs: this.freshness.staleSinceMs };
  }

  /** Shows another session's track; what the old one showed last stays as a still. */
  setTrack(track: MediaStreamTrack | null): void {
    if (this.track === track) return;
    this.track = track;
    this.act(this.reveal.restart());
    if (this.notice) this.freshness.interrupt();
    this.notice = null;
    this.video.style.opacity = "0";
    this.video.srcObject = null;
    // A video that waits for its first picture holds back the end of the page's loading (HTML, 4.8.11.5), and the
    // browser would show that the page loads for as long as a tile is empty.
    if (document.readyState === "complete") this.attach();
    else addEventListener("load", () => this.attach(), { once: true });
    this.changed();
  }

  private attach(): void {
    if (!this.track || this.video.srcObject) return;
    this.video.srcObject = new MediaStream([this.track]);
    // A muted video without autoplay permission does not exist; a play() that is overtaken by the next one is no fault.
    this.video.play().catch(() => undefined);
  }

  aim(camera: string | null, source: Source): void {
    this.source = source;
    const action = this.reveal.aim(camera, source);
    if (action === "cover") this.freshness.begin(siteNow());
    this.act(action);
  }

  onNotice(notice: SlotNotice): void {
    this.notice = notice;
    if (notice.source === "live" && notice.state === "catching-up") this.freshness.replay(notice.live_rtp);
    else if (notice.state === "live") this.freshness.flows();
    this.act(this.reveal.notice(notice, performance.now()));
    this.tellSeen();
    this.lookAtFrames();
    this.awaitRest();
  }

  /** Whether to look at every frame's timestamp, so that its capture time can be shown. */
  followFrames(follow: boolean): void {
    this.follow = follow;
    this.lookAtFrames();
  }

  /** Call it a few times a second: finds out whether the picture is fresh. The next frame may take `withinMs`. */
  check(pageVisible: boolean, withinMs: number): void {
    const state = this.notice?.state;
    const due = state === "live" || state === "playing" || state === "catching-up" || state === "waiting";
    const nowMs = siteNow();
    // A count would forget the timestamp that is shown.
    if (pageVisible) this.presented.look(this.follow || this.source === "recorded" || this.freshness.replaying);
    if (pageVisible && due && this.state.hasPicture) this.freshness.look(nowMs, withinMs);
    else this.freshness.excuse(nowMs);
    this.tellStale();
  }

  /** Waits for the next frame, so that its timestamp is known; not for long, for none may come. */
  async awaitFrame(): Promise<void> {
    await new Promise<void>((resolve) => {
      setTimeout(resolve, NEXT_FRAME_MS);
      this.video.requestVideoFrameCallback((_, metadata) => {
        this.lastRtp = metadata.rtpTimestamp ?? null;
        resolve();
      });
    });
  }

  private tellStale(): void {
    if (this.toldStale !== this.freshness.staleSinceMs) this.changed();
  }

  /**
   * Says of the next picture how long it was under way from its arrival to the screen (ms), where it plays; and of one
   * that does not come how long it is awaited. Call it about once a second.
   */
  measureDelay(tell: (delayMs: number) => void): void {
    const nowMs = performance.now();
    if (this.notice?.state !== "playing") {
      this.forgetDelay();
      return;
    }
    if (this.delayRequest !== null) {
      const awaitedMs = nowMs - this.delayRequestedMs;
      if (awaitedMs > AWAITED_MS && this.notice.limited !== "keyframes") tell(awaitedMs);
      return;
    }
    this.delayRequestedMs = nowMs;
    this.delayRequest = this.video.requestVideoFrameCallback((_, { presentationTime, receiveTime }) => {
      this.delayRequest = null;
      if (receiveTime !== undefined) tell(presentationTime - receiveTime);
    });
  }

  release(): void {
    clearTimeout(this.restTimer);
    this.forgetDelay();
    this.presented.stop();
    if (this.frameRequest !== null) this.video.cancelVideoFrameCallback(this.frameRequest);
    this.track = null;
    this.video.srcObject = null;
  }

  private forgetDelay(): void {
    if (this.delayRequest !== null) this.video.cancelVideoFrameCallback(this.delayRequest);
    this.delayRequest = null;
  }

  private lookAtFrames(): void {
    if (this.frameRequest !== null || !(this.follow || this.reveal.watching)) return;
    this.frameRequest = this.video.requestVideoFrameCallback((now, metadata) => {
      this.frameRequest = null;
      // Before anything that takes time: of frames that are presented until then the browser does not tell.
      this.lookAtFrames();
      this.lastRtp = metadata.rtpTimestamp ?? null;
      const action = this.reveal.frame(metadata.rtpTimestamp, now);
      this.tellSeen();
      this.act(action);
      this.awaitRest();
    });
  }

  private tellSeen(): void {
    const rtp = this.reveal.takeSeen();
    if (rtp !== null) this.onSeen(rtp);
  }

  private awaitRest(): void {
    clearTimeout(this.restTimer);
    if (!this.reveal.watching || this.notice?.state !== "paused") return;
    this.restTimer = setTimeout(() => this.act(this.reveal.rest()), REST_MS);
  }

  private act(action: PictureAction): void {
    if (action !== "none") this.bare = action === "bare";
    if (action === "still") this.drawStill();
    else if (action === "bare" || action === "reveal") {
      this.video.style.opacity = "1";
      this.setStill(false);
    } else if (action === "cover") {
      this.video.style.opacity = "0";
      this.setStill(false);
    }
    if (action !== "none") this.changed();
  }

  private drawStill(): void {
    const { videoWidth, videoHeight } = this.video;
    const context = this.canvas.getContext("2d");
    if (videoWidth === 0 || !context) return;
    // No larger than it is seen: sixteen stills in full size take longer to copy than their pictures to decode.
    const scale = Math.min(1, (this.video.clientWidth * displayRatio() || videoWidth) / videoWidth);
    this.canvas.width = Math.round(videoWidth * scale);
    this.canvas.height = Math.round(videoHeight * scale);
    context.drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    this.video.style.opacity = "0";
    this.setStill(true);
  }

  private setStill(shown: boolean): void {
    this.stillShown = shown;
    this.canvas.style.opacity = shown ? "1" : "0";
    // One that is only transparent is a layer of its own in each turn of the page.
    this.canvas.hidden = !shown;
  }

  private changed(): void {
    const { state } = this;
    this.toldStale = state.staleSinceMs;
    this.onChange(state);
  }
}
