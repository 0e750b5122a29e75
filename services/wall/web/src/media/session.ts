/** One wall session: a PeerConnection with N slots and the WebSocket that steers it. `SessionKeeper` replaces it when it dies. */

import type { Api } from "../api/client.js";
import type { Control, Notice } from "../api/generated.js";
import type { Opening } from "../api/types.js";
import { Backoff } from "../model/backoff.js";
import { addReceivers } from "./offer.js";

/** The front closes the WebSocket with this code when it knows no such session. */
export const SESSION_GONE = 4404;
/** … and with this one when the sign-in has ended. */
export const SIGNED_OUT = 4401;

const CONNECT_LIMIT_MS = 10_000;
/** A browser has its first candidate after a tenth of that, where it has an address but loopback. */
const GATHERED_MS = 3000;
const DISCONNECTED_LIMIT_MS = 3000;
/** After so many WebSockets in a row that never opened the session is given up. */
const CONTROL_ATTEMPTS = 6;

export interface SessionEvents {
  /** Media flows. */
  connected: () => void;
  /** The WebSocket is open (again): everything has to be sent again. */
  controllable: () => void;
  notice: (notice: Notice) => void;
  /** The session is over; called once. `noNetwork`: the browser found no address of its own to connect from. */
  gone: (noNetwork?: boolean) => void;
}

/** The part of a session that the keeper uses; tests implement it. */
export interface Session {
  readonly slots: number;
  readonly video: readonly MediaStreamTrack[];
  readonly audio: MediaStreamTrack | null;
  send(control: Control): void;
  close(): void;
}

export class WallSession implements Session {
  readonly video: MediaStreamTrack[];
  private id = "";
  private socket: WebSocket | null = null;
  private ended = false;
  private failedSockets = 0;
  private timers = new Set<ReturnType<typeof setTimeout>>();
  private readonly backoff = new Backoff(250, 4000);

  private constructor(
    private readonly api: Api,
    private readonly pc: RTCPeerConnection,
    readonly slots: number,
    private readonly receivers: ReturnType<typeof addReceivers>,
    private readonly events: SessionEvents,
  ) {
    this.video = receivers.video;
  }

  /**
   * Offers `slots` slots, with what `opening` says when the offer is made; throws `ApiError` where no relay takes it.
   * Returns while the connection is made: see `SessionEvents.connected`.
   */
  static async open(
    api: Api,
    iceServers: RTCIceServer[],
    slots: number,
    opening: () => Opening,
    events: SessionEvents,
  ): Promise<WallSession> {
    const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers });
    const session = new WallSession(api, pc, slots, addReceivers(pc, slots), events);
    try {
      await session.negotiate(opening);
    } catch (error) {
      session.close();
      throw error;
    }
    return session;
  }

  private async negotiate(opening: () => Opening): Promise<void> {
    const { pc } = this;
    pc.onconnectionstatechange = () => this.onConnectionState();
    await pc.setLocalDescription();
    this.after(GATHERED_MS, () => this.endWithoutNetwork());
    const answer = await this.api.openSession(pc.localDescription?.sdp ?? "", opening());
    this.id = answer.id;
    this.connectControl(answer.control);
    this.after(CONNECT_LIMIT_MS, () => pc.connectionState !== "connected" && this.end());
    // Not awaited: the tiles take their tracks while the browser works on it.
    pc.setRemoteDescription({ type: "answer", sdp: answer.sdp }).catch(() => this.end());
  }

  /** Known when the session is connected. */
  get audio(): MediaStreamTrack | null {
    const { currentDirection, receiver } = this.receivers.audio;
    return currentDirection === "recvonly" ? receiver.track : null;
  }

  /** Without a candidate no check leaves the browser, and Chromium gathers for ever. */
  private endWithoutNetwork(): void {
    const { connectionState, localDescription } = this.pc;
    if (connectionState !== "connected" && !localDescription?.sdp.includes("\na=candidate:")) this.end(true);
  }

  private onConnectionState(): void {
    const state = this.pc.connectionState;
    if (state === "connected") this.events.connected();
    else if (state === "failed" || state === "closed") this.end();
    else if (state === "disconnected") {
      this.after(DISCONNECTED_LIMIT_MS, () => this.pc.connectionState === "disconnected" && this.end());
    }
  }

  private connectControl(path: string): void {
    if (this.ended) return;
    const url = new URL(path, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    this.socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.failedSockets = 0;
      this.backoff.reset();
      this.events.controllable();
    };
    socket.onmessage = (message) => {
      const notice = JSON.parse(String(message.data)) as Notice;
      if (notice.type === "error" && (notice.code === "not-found" || notice.code === "unavailable")) this.end();
      else if (!this.ended) this.events.notice(notice);
    };
    socket.onclose = (event) => {
      if (this.ended) return;
      if (!opened) this.failedSockets += 1;
      // Any request now gets 401, and with it the sign-in page.
      if (event.code === SIGNED_OUT) this.api.me().catch(() => undefined);
      if (event.code === SESSION_GONE || event.code === SIGNED_OUT || this.failedSockets >= CONTROL_ATTEMPTS)
        this.end();
      else this.after(this.backoff.next(), () => this.connectControl(path));
    };
  }

  send(control: Control): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(control));
  }

  private after(ms: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      if (!this.ended) action();
    }, ms);
    this.timers.add(timer);
  }

  private end(noNetwork = false): void {
    if (this.ended) return;
    // Called first, so that the tiles copy their last pictures before the tracks end.
    this.events.gone(noNetwork);
    this.close();
  }

  close(): void {
    if (this.ended) return;
    this.ended = true;
    for (const timer of this.timers) clearTimeout(timer);
    this.socket?.close();
    this.pc.close();
    if (this.id) this.api.closeSession(this.id);
  }
}
