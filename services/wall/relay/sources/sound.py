"""The sound of a session: one camera's, sent as it is where it is G.711 at 8 kHz or Opus, else converted to Opus.

While nobody listens, no sound is asked of a camera and none is sent.
"""

from typing import Final

from services.contracts.frames import Codec
from services.contracts.models import Camera
from services.mesh.clock import Clock
from services.wall.relay.sending.frame import Frame
from services.wall.relay.sending.sound import RtpSoundTrack
from services.wall.relay.sources.conversion import CameraFeeds
from services.wall.relay.sources.feed import ProfileFeed

_CONVERTED: Final = frozenset((Codec.AAC, Codec.PCM_ALAW, Codec.PCM_MULAW))


class Listener:
    """Puts one camera's sound on a track, or nobody's. A sink of feeds."""

    def __init__(self, track: RtpSoundTrack, feeds: CameraFeeds, clock: Clock) -> None:
        self._track = track
        self._feeds = feeds
        self._now = clock.monotonic
        self._camera: Camera | None = None
        self._feed: ProfileFeed | None = None

    def listen(self, camera: Camera | None) -> None:
        """Sends this camera's sound from now on; silence for None and for a camera without sound."""
        if camera is not None and not camera.audio:
            camera = None
        if camera == self._camera:
            return
        self._camera = camera
        self._follow(self._feeds.original(camera, "audio") if camera is not None else None)

    def _follow(self, feed: ProfileFeed | None) -> None:
        if self._feed is not None:
            self._feed.detach(self)
        self._feed = feed
        self._track.pause()
        if feed is not None:
            feed.attach(self)

    def feed_ready(self, feed: ProfileFeed) -> None:
        """Sends the feed's newest frame."""
        if feed.gop.frames:
            self.feed_frame(feed, feed.gop.frames[-1])

    def feed_frame(self, feed: ProfileFeed, frame: Frame) -> None:
        """Sends the frame, or changes to the camera's conversion where the receiver has no decoder for it."""
        camera, codec = self._camera, frame.unit.codec
        if feed is not self._feed or camera is None:
            return
        if self._track.takes(frame.unit):
            self._track.send_unit(frame.unit, self._now())
        elif codec in _CONVERTED and feed.profile == "audio" and self._track.accepts(Codec.OPUS):
            self._follow(self._feeds.converted(camera, "audio", "opus"))

    def feed_status(self, feed: ProfileFeed) -> None:
        """Does nothing: a camera without sound is silent."""

    def close(self) -> None:
        """Leaves the feed."""
        self.listen(None)
