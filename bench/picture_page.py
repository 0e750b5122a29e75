"""A page that notes when each frame of each slot is presented.

It does what the app does: it offers one payload type and the header extensions that are used (`media/offer.ts`), makes
its tiles while the answer is applied, shows each video's first frame, and hides what follows under a still until it is
live (`model/reveal.ts`).
Frames are told apart by their RTP timestamps alone: to read numbers out of the pictures would slow down what is
measured.
"""

import asyncio
from typing import Any, Literal, NamedTuple

from playwright.async_api import BrowserContext, Page

from services.contracts.sessions import Aim, ClockControl, FrameMark, Seen, SessionOpened, SlotNotice
from tests.wall.relay.running import Front

SCRIPT = """
window.bench = {
  pc: null, tiles: [], seen: [], began: 0,
  now() { return performance.timeOrigin + performance.now(); },
  async offer(count) {
    this.began = this.now();
    const pc = this.pc = new RTCPeerConnection({bundlePolicy: 'max-bundle'});
    const wanted = RTCRtpReceiver.getCapabilities('video').codecs.filter(
      (c) => c.mimeType === 'video/rtx' || /packetization-mode=1;profile-level-id=4d/.test(c.sdpFmtpLine));
    for (let n = 0; n < count; n++) {
      const transceiver = pc.addTransceiver('video', {direction: 'recvonly'});
      transceiver.setCodecPreferences(wanted);
      transceiver.setHeaderExtensionsToNegotiate(transceiver.getHeaderExtensionsToNegotiate().map(({uri, direction}) =>
        ({uri, direction: /sdes:mid|abs-send-time|playout-delay/.test(uri) ? direction : 'stopped'})));
    }
    await pc.setLocalDescription();
    return pc.localDescription.sdp;
  },
  async answer(sdp) {
    const answered = this.pc.setRemoteDescription({type: 'answer', sdp});
    this.pc.getTransceivers().forEach((transceiver, slot) => this.show(transceiver.receiver.track, slot));
    await answered;
  },
  show(track, slot) {
    const side = Math.ceil(Math.sqrt(this.pc.getTransceivers().length));
    const [video, canvas] = [document.createElement('video'), document.createElement('canvas')];
    const size = `position:absolute;width:${Math.floor(1280 / side)}px;height:${Math.floor(720 / side)}px;`;
    const place = `left:${(slot % side) * 100 / side}%;top:${Math.floor(slot / side) * 100 / side}%;`;
    Object.assign(video, {muted: true, autoplay: true, srcObject: new MediaStream([track])});
    video.style = `${size}${place}opacity:0`;
    canvas.style = `${size}${place}opacity:0`;
    document.body.append(video, canvas);
    const tile = this.tiles[slot] = {video, canvas, frames: [], bare: false, still: false};
    const frame = (now, meta) => {
      // First of all: a picture that comes before this is asked for again is never told of, and may be the last one.
      video.requestVideoFrameCallback(frame);
      tile.frames.push([meta.rtpTimestamp, this.now()]);
      if (!tile.still) this.saw(slot, meta.rtpTimestamp);
      if (!tile.bare) {
        tile.bare = true;
        video.style.opacity = '1';
      } else if (!tile.still) {
        video.style.opacity = '0';
        [canvas.width, canvas.height] = [video.clientWidth, video.clientHeight];
        canvas.getContext('2d').drawImage(video, 0, 0, canvas.width, canvas.height);
        canvas.style.opacity = '1';
        tile.still = true;
      }
    };
    video.requestVideoFrameCallback(frame);
    video.play();
  },
  saw(slot, rtp) {
    if (!this.seen.length) setTimeout(() => tellSeen(this.seen.splice(0)));
    this.seen.push({slot, rtp});
  },
  hide() {
    for (const tile of this.tiles) {
      [tile.bare, tile.still, tile.frames] = [false, false, []];
      [tile.video.style.opacity, tile.canvas.style.opacity] = ['0', '0'];
    }
  },
  reveal() {
    for (const tile of this.tiles) {
      tile.frames = [];
      [tile.video.style.opacity, tile.canvas.style.opacity] = ['1', '0'];
    }
  },
  close() { this.pc.close(); document.body.replaceChildren(); this.tiles = []; },
};
"""
HALF = 1 << 31
REST_MS = 150.0
"""Of its last frame before a pause a browser does not always tell; then the app waits so long, and shows the video."""


class Shown(NamedTuple):
    """How soon a slot showed what was asked for."""

    first_ms: float
    live_ms: float


def _reached(rtp: int, other: int) -> bool:
    return (rtp - other) % (1 << 32) < HALF


class PicturePage:
    """One session at a time; `open` it, `aim` its slots, ask `shown` and `ages_ms`."""

    def __init__(self, page: Page, front: Front) -> None:
        self._page = page
        self._front = front
        self._session: SessionOpened
        self._began_ms = 0.0
        self._heard = 0
        self._moment: range | None = None
        """When the pictures of the sought moment were taken, Unix µs."""

    @classmethod
    async def create(cls, browser: BrowserContext, front: Front) -> "PicturePage":
        """A blank page."""
        page = await browser.new_page()
        await page.goto("about:blank")
        made = cls(page, front)
        await page.expose_function("tellSeen", made._on_seen)
        await page.evaluate(SCRIPT)
        return made

    async def _on_seen(self, frames: list[dict[str, int]]) -> None:
        await self._front.control(self._session.session, Seen.model_validate({"frames": frames}))

    async def open(self, cameras: list[str], source: Literal["live", "recorded"] = "live") -> None:
        """A new session with a slot for each camera; time runs from the making of its offer."""
        offer = await self._page.evaluate("(count) => bench.offer(count)", len(cameras))
        self._heard = 0
        aims = [Aim(slot=n, camera=c, source=source) for n, c in enumerate(cameras)]
        self._session = await self._front.open(offer, *aims)
        await self._page.evaluate("(sdp) => bench.answer(sdp)", self._session.answer)
        self._began_ms = await self._page.evaluate("bench.began")

    async def aim(self, cameras: list[str]) -> None:
        """Points the slots at other cameras; time runs from the first of the messages."""
        await self._page.evaluate("bench.hide()")
        self._heard = len(self._notices())
        self._began_ms = await self._page.evaluate("bench.now()")
        async with asyncio.TaskGroup() as tasks:  # as a front passes on what it reads at once
            for slot, camera in enumerate(cameras):
                tasks.create_task(self._front.control(self._session.session, Aim(slot=slot, camera=camera)))

    async def seek(self, at_us: int, frame_us: int) -> None:
        """Jumps with all recorded slots to a moment, the clock standing; time runs from the message.

        `shown` then says when the first picture was there, the keyframe before the moment, and when the moment's own.
        """
        await self._page.evaluate("bench.hide()")
        self._heard = len(self._notices())
        self._began_ms = await self._page.evaluate("bench.now()")
        self._moment = range(at_us - frame_us, at_us + 1)
        await self._front.control(self._session.session, ClockControl(action="seek", at_us=at_us))

    def _notices(self) -> list[Any]:
        return self._front.notices[self._session.session]

    async def shown(self, slots: int) -> list[Shown]:
        """For every slot, when all are live; raises TimeoutError where they are not within half a minute."""
        counts: list[list[int]] = []
        async with asyncio.timeout(30):
            while True:
                await asyncio.sleep(0.3)  # seldom: each question takes time from the rendering
                tiles: list[list[tuple[int, float]]] = await self._page.evaluate(
                    "bench.tiles.map((tile) => tile.frames)"
                )
                counts = [*counts[-2:], [len(frames) for frames in tiles]]
                resting = len(counts) == 3 and counts[0] == counts[2]
                found = [self._shown(slot, frames, resting=resting) for slot, frames in enumerate(tiles)]
                live = [shown for shown in found if shown is not None]
                if len(live) == slots:
                    return live

    def _shown(self, slot: int, frames: list[tuple[int, float]], *, resting: bool) -> Shown | None:
        notices = [notice for notice in self._notices()[self._heard :] if getattr(notice, "slot", None) == slot]
        told = (notice for notice in notices if isinstance(notice, SlotNotice) and notice.live_rtp is not None)
        if (first := next(told, None)) is None:
            return None
        live_rtp = first.live_rtp
        if self._moment is not None:  # the first catch-up leads to the keyframe before the moment, not to its own
            marks = (notice for notice in notices if isinstance(notice, FrameMark))
            live_rtp = next((mark.rtp for mark in marks if mark.capture_us in self._moment), None)
        if live_rtp is None:
            return None
        rtps = (first.first_rtp or live_rtp, live_rtp)
        ats = [next((at for rtp, at in frames if _reached(rtp, wanted)), None) for wanted in rtps]
        if ats[0] is not None and self._moment is not None and resting:
            ats[1] = ats[1] or frames[-1][1] + REST_MS
        if ats[0] is not None and ats[1] is not None:
            return Shown(ats[0] - self._began_ms, ats[1] - self._began_ms)
        return None

    async def ages_ms(self, seconds: float) -> list[float]:
        """From a frame's capture to its presentation, of all frames in the next ``seconds``, videos uncovered."""
        await self._page.evaluate("bench.reveal()")
        await self._page.wait_for_timeout(1000 * seconds)
        tiles: list[list[tuple[int, float]]] = await self._page.evaluate("bench.tiles.map((tile) => tile.frames)")
        marks = {n.slot: n for n in self._notices() if isinstance(n, FrameMark)}
        ages = []
        for slot, frames in enumerate(tiles):
            mark = marks[slot]
            for rtp, at in frames:
                ticks = (rtp - mark.rtp + HALF) % (1 << 32) - HALF
                ages.append(at - mark.capture_us / 1000 - ticks / 90)
        return ages

    async def close(self) -> None:
        """Ends the session."""
        await self._front.close(self._session.session)
        await self._page.evaluate("bench.close()")
