"""The seam between ingest and what reads a source: a `Reader` opens one `Source` and hands on its packets.

A reader demultiplexes and nothing more: timing, parameter sets, holding back and publishing come behind it and are the
same for every reader.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from services.contracts.frames import Codec
from services.contracts.models import Reason

Kind = Literal["video", "audio"]


@dataclass(frozen=True)
class Source:
    """What to open. Username and password are a secret: they go to the source alone."""

    url: str
    """Without credentials."""
    transport: Literal["tcp", "udp"] = "tcp"
    reader: Literal["auto", "pyav"] = "auto"
    username: str = ""
    password: str = field(default="", repr=False)
    audio: bool = False
    """Whether to read an audio track besides the video."""

    @property
    def is_hls(self) -> bool:
        """Whether the URL names an HLS playlist: its frames come a segment at a time."""
        return self.url.startswith(("http://", "https://")) and self.url.partition("?")[0].endswith((".m3u8", ".m3u"))


class Track(NamedTuple):
    """One elementary stream of a source."""

    kind: Kind
    codec: Codec
    extradata: bytes
    """As the source declares it: parameter sets in Annex B, avcC, hvcC or an AudioSpecificConfig; may be empty."""


class Packet(NamedTuple):
    """One access unit or audio frame as it came, in decoding order."""

    kind: Kind
    data: bytes
    """Video in the framing that the track's extradata says: behind lengths with avcC or hvcC, else Annex B."""
    pts_90k: int | None
    """The source's own time, None where it gives none."""
    dts_90k: int | None
    """None where the source carries no decoding times (RTP does not)."""
    arrival_us: int
    """On the clock of `time.monotonic_ns`, in microseconds."""
    rtcp_us: int | None = None
    """The capture time that the source's sender reports lead to: Unix time, by the source's own clock."""


class End(NamedTuple):
    """Why a source is over."""

    reason: Reason
    detail: str
    """For people who read logs: no credentials in it."""


class Outlet(Protocol):
    """Where a reader puts what it reads. Both may be called from any thread and neither blocks."""

    def opened(self, tracks: tuple[Track, ...]) -> None:
        """The source is open and has these tracks."""

    def packet(self, packet: Packet) -> None:
        """The next packet."""


class Reader(Protocol):
    """Reads one source once."""

    async def run(self, source: Source, outlet: Outlet) -> End:
        """Opens ``source`` and feeds ``outlet`` until it ends; never raises for anything that a source does.

        Cancelling closes the source as soon as it lets go of us; the call itself returns at once.
        """
