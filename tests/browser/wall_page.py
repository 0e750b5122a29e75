"""A page that shows a session's slots and reads the numbers out of their decoded pictures."""

from typing import Any, NamedTuple

from playwright.async_api import BrowserContext, Page

from services.contracts.sessions import Aim, SessionOpened
from tests.wall.relay.running import Front

SCRIPT = """
window.wall = {
  pc: null, tiles: [],
  async offer(count, trim, noDelay, audio) {
    const pc = this.pc = new RTCPeerConnection({bundlePolicy: 'max-bundle'});
    const wanted = RTCRtpReceiver.getCapabilities('video').codecs.filter(
      c => /H264|H265|rtx/.test(c.mimeType));
    for (let n = 0; n < count; n++) {
      const t = pc.addTransceiver('video', {direction: 'recvonly'});
      if (trim) t.setCodecPreferences(wanted);
    }
    if (audio) pc.addTransceiver('audio', {direction: 'recvonly'});
    pc.ontrack = (event) => event.track.kind === 'video' && this.show(event);
    await pc.setLocalDescription();
    let sdp = pc.localDescription.sdp;
    if (noDelay) sdp = sdp.split('\\r\\n').filter(l => !/playout-delay/.test(l)).join('\\r\\n');
    return sdp;
  },
  async answer(sdp) { await this.pc.setRemoteDescription({type: 'answer', sdp}); },
  show(event) {
    const slot = this.pc.getTransceivers().indexOf(event.transceiver);
    const video = document.createElement('video');
    video.muted = true; video.autoplay = true; video.width = 320; video.height = 180;
    video.srcObject = new MediaStream([event.track]);
    document.body.append(video);
    const canvas = document.createElement('canvas');
    const context = canvas.getContext('2d', {willReadFrequently: true});
    const tile = this.tiles[slot] = {video, seen: [], last: null, lastAt: 0, frozen: 0};
    const frame = (now, meta) => {
      // First of all: a picture that comes before this is asked for again is never told of, and may be the last one.
      video.requestVideoFrameCallback(frame);
      const w = meta.width, block = Math.floor(w / 24), h = Math.max(block, 16);
      canvas.width = w; canvas.height = h;
      context.drawImage(video, 0, 0, w, h, 0, 0, w, h);
      const row = context.getImageData(0, Math.floor(h / 2), w, 1).data;
      let bits = 0;
      for (let bit = 0; bit < 24; bit++) {
        const at = 4 * (bit * block + Math.floor(block / 2));
        bits = bits * 2 + (row[at] + row[at + 1] + row[at + 2] > 384 ? 1 : 0);
      }
      const at = performance.timeOrigin + performance.now();
      tile.last = {camera: bits >> 16, number: bits & 0xffff, rtp: meta.rtpTimestamp, at, width: w};
      if (tile.lastAt) tile.frozen = Math.max(tile.frozen, at - tile.lastAt);
      tile.lastAt = at;
      tile.seen.push(tile.last);
      if (tile.seen.length > 3000) tile.seen.shift();
    };
    video.requestVideoFrameCallback(frame);
    video.play();
  },
  last() { return this.tiles.map(t => t ? t.last : null); },
  async stats() {
    const total = {packetsLost: 0, packetsReceived: 0, nackCount: 0, pliCount: 0, framesDecoded: 0, freezeCount: 0,
                   framesDropped: 0, retransmittedPacketsReceived: 0, tiles: 0};
    for (const s of (await this.pc.getStats()).values()) {
      if (s.type !== 'inbound-rtp') continue;
      total.tiles++;
      for (const key in total) if (key !== 'tiles') total[key] += s[key] || 0;
      total.codec = s.codecId; total.decoder = s.decoderImplementation;
    }
    return total;
  },
};
"""


class Seen(NamedTuple):
    """A decoded picture."""

    camera: int
    number: int
    rtp: int
    at_ms: float
    """Unix time."""
    width: int


class WallPage:
    """One page with one session."""

    def __init__(self, page: Page, front: Front) -> None:
        self.page = page
        self.front = front
        self.session: SessionOpened

    @classmethod
    async def create(cls, browser: BrowserContext, front: Front) -> "WallPage":
        """A blank page with the script."""
        page = await browser.new_page()
        await page.goto("about:blank")
        await page.evaluate(SCRIPT)
        return cls(page, front)

    async def connect(
        self, slots: int, *aims: Aim, trim: bool = True, playout_delay: bool = True, audio: bool = False
    ) -> None:
        """Opens a session with ``slots`` tiles."""
        offer = await self.page.evaluate("a => wall.offer(...a)", [slots, trim, not playout_delay, audio])
        self.session = await self.front.open(offer, *aims)
        await self.page.evaluate("sdp => wall.answer(sdp)", self.session.answer)

    async def aim(self, slot: int, camera: str | None, profile: str = "auto") -> None:
        """Re-aims a slot."""
        aim = Aim.model_validate({"slot": slot, "camera": camera, "profile": profile})
        await self.front.control(self.session.session, aim)

    async def wait_for(self, slot: int, camera: int, timeout_ms: float = 60_000) -> Seen:
        """The first picture of a camera's in a slot from now on."""
        expression = "([slot, camera]) => (t => t && t.last && t.last.camera === camera && t.last)(wall.tiles[slot])"
        handle = await self.page.wait_for_function(expression, arg=[slot, camera], timeout=timeout_ms, polling=10)
        return _seen(await handle.json_value())

    async def last(self) -> list[Seen | None]:
        """The newest picture of each tile."""
        return [_seen(tile) if tile else None for tile in await self.page.evaluate("wall.last()")]

    async def seen(self, slot: int) -> list[Seen]:
        """All pictures of a tile, up to 3000."""
        return [_seen(tile) for tile in await self.page.evaluate("slot => wall.tiles[slot].seen", slot)]

    async def stats(self) -> dict[str, Any]:
        """Sums over the receivers."""
        stats: dict[str, Any] = await self.page.evaluate("wall.stats()")
        return stats

    async def longest_freeze_ms(self) -> list[float]:
        """The longest time without a new picture, for each tile, since `forget`."""
        found: list[float] = await self.page.evaluate(
            "wall.tiles.map(t => Math.max(t.frozen, performance.timeOrigin + performance.now() - t.lastAt))"
        )
        return found

    async def forget(self) -> None:
        """Begins the record anew."""
        await self.page.evaluate("wall.tiles.forEach(t => { t.seen = []; t.frozen = 0; })")


def _seen(value: dict[str, Any]) -> Seen:
    return Seen(value["camera"], value["number"], value["rtp"], value["at"], value["width"])
