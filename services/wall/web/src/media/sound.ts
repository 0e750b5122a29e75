/** Plays the session's sound while a tile is heard; without a listener the track is not attached. */

export class Loudspeaker {
  private readonly element = new Audio();

  /** Plays `track`; null: silence. Begin from a key or a click, as browsers want it. */
  play(track: MediaStreamTrack | null): void {
    const playing = (this.element.srcObject as MediaStream | null)?.getAudioTracks()[0] ?? null;
    if (playing === track) return;
    this.element.srcObject = track ? new MediaStream([track]) : null;
    // The next play() interrupts this one, which is no fault; a browser that forbids sound shows that itself.
    if (track) this.element.play().catch(() => undefined);
  }
}
