"""The seam between ingest and what reads a source: a `Reader` opens one `Source` once and hands on its packets.

A reader speaks the source's protocol and demultiplexes. Parameter sets, holding back until a decoder could begin,
re-timing, capture time, marking damage, publishing, back-off and stall time-outs come behind it, the same for every
reader.

There are two readers:

- `direct` runs in the worker's own event loop: RTSP and RTSPS. It must never block the loop.
- `libav` runs each source in a process of its own, which may hang or crash without harm to others; it takes every
  source. Its packets come over a socket into the same loop.

One `Reader.run` is one attempt: one connection, and no second one to find out why the first failed. Opening anew,
choosing between the readers and remembering the choice is the caller's (`services.ingest.feed`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, Protocol

from services.contracts.frames import Codec
from services.contracts.models import Reason, Transport
from services.ingest.usual_pictures import UsualPictures

Kind = Literal["video", "audio"]
RtpTransport = Literal["", "tcp", "udp"]
"""What RTP comes over; empty: the source has none."""

OPENING_SHARE: Final = 0.9
"""Of `Source.open_seconds`: the verdict falls then, so that the state has it in time."""


@dataclass(frozen=True)
class Source:
    """What to open. Username and password are a secret: they go to the source alone."""

    url: str
    """Without credentials."""
    transport: Transport = "auto"
    """Of RTSP. ``auto``: TCP, and UDP on the same connection where the source refuses TCP (461)."""
    username: str = ""
    password: str = field(default="", repr=False)
    audio: bool = False
    """Whether to read an audio track besides the video. A source without a usable one is opened all the same."""
    open_seconds: float = 10.0
    """What all may take from the first connect to the first `Outlet.opened`; past it the reader ends by itself, with
    the reason that fits how far it came (`Reason.TIMEOUT`, `NO_ANSWER`, `BAD_ANSWER`)."""
    stall_seconds: float = 5.0
    """After `Outlet.opened`: the caller notices by itself when no picture comes for so long, and cancels. A reader
    need not watch it; it may use it for its socket time-outs."""

    verify: bool = False
    """Whether the certificate of a source behind TLS must be one that is trusted."""
    authorities: str = ""
    """The path of a PEM file of those who are trusted; empty: those of the system."""
    networks: tuple[str, ...] = ()
    """Where it, and what it redirects to, may be (CIDR); empty: anywhere but at link-local addresses."""

    @property
    def is_secure(self) -> bool:
        """Whether TLS is spoken with it."""
        return self.url.partition("://")[0].lower() in ("rtsps", "https")

    @property
    def is_hls(self) -> bool:
        """Whether the URL names an HLS playlist: its frames come a segment at a time."""
        return self.url.startswith(("http://", "https://")) and self.url.partition("?")[0].endswith((".m3u8", ".m3u"))

    @property
    def is_rtsp(self) -> bool:
        """Whether the direct reader may be tried."""
        return self.url.partition("://")[0].lower() in ("rtsp", "rtsps")


class Track(NamedTuple):
    """One elementary stream of a source."""

    kind: Kind
    codec: Codec
    extradata: bytes
    """As the source declares it: parameter sets in Annex B, avcC or hvcC; an AudioSpecificConfig; may be empty. What
    is wrong in it is no error: the stream's own parameter sets count."""
    sample_rate_hz: int = 0
    """Of audio; 0 where the source does not say."""
    channels: int = 1
    """Of audio."""


class Packet(NamedTuple):
    """One access unit (all slices of one picture) or one audio frame, in decoding order."""

    kind: Kind
    data: bytes | Sequence[bytes]
    """Video as bytes: in the framing that the track's extradata says, behind lengths with avcC or hvcC, else Annex B.
    Video as a sequence (H.264 and H.265): its NAL units, without framing and none of them empty; parameter sets and
    SEI among them where they came. Audio and JPEG as bytes."""
    pts_90k: int | None
    """The source's own time (RTP: extended past its 32 bits, always at 90 kHz); None where
    it gives none. It may jump, stand still and go back: re-timing is done behind the seam."""
    dts_90k: int | None
    """None where the source carries no decoding times (RTP does not)."""
    arrival_us: int
    """When its last byte came, on the clock of `time.monotonic_ns`, in microseconds."""
    rtcp_us: int | None = None
    """When the picture was taken, by the source's own clock: Unix time, from its last sender report (RFC 3550, 6.4.1);
    None before one came. A reader does not judge it: `timing.capture` does."""
    damaged: bool = False
    """Something of it is missing or wrong (RTP packets lost within it, an FU-A cut short). What refers to it is marked
    behind the seam, until the next keyframe. A unit of which nothing usable came is not handed on at all: its loss is
    counted at the next one."""
    lost: int = 0
    """RTP packets that are missing between the last unit of this track and the end of this one. Where it is not 0
    and the hole lies in front of this unit, whole pictures may be missing: what follows is marked as well."""


class ReaderEnd(NamedTuple):
    """Why an attempt is over."""

    reason: Reason
    detail: str
    """For people who read logs: names the host and what happened, no credentials and no path or query in it."""
    unsuited: bool = False
    """The direct reader cannot read this source at all, though it may be well (a payload format or a dialogue that it
    does not know): where ``reader`` is ``auto``, libav is tried at once and the camera's choice remembered. Never set
    for what libav could not do either (refused, wrong password, no such stream, silence)."""


class UsualLoan(Protocol):
    """What `UsualTaker.lend` has begun."""

    def fetch(self) -> None:
        """Hands on the pictures that were taken since the last time."""

    def end_loan(self) -> None:
        """Hands them on, and takes back what is lent."""


class UsualTaker(Protocol):
    """Takes pictures that the kernel made messages of (services/ingest/kernel), and lends it what it needs for that."""

    def lend(self, loan: Any) -> bool:
        """Puts what the next message needs into a ``pi_connection``; False where `Outlet.packet` must take it."""

    def take_back(self, loan: Any) -> None:
        """What messages have made of it."""

    def lent(self, loan: UsualLoan | None) -> None:
        """Its `UsualLoan.end_loan` is called before anything that may be lent is looked at or changed. None: nothing is
        lent any more."""

    def take_usual(self, pictures: UsualPictures) -> None:
        """Messages were made, and published. They are as late as `UsualLoan.fetch` is called."""


class Outlet(Protocol):
    """Where a reader puts what it reads. Called on the event loop, in order; neither call blocks or raises."""

    def opened(
        self, tracks: Sequence[Track], *, transport: RtpTransport = "", bursts: bool = False
    ) -> UsualTaker | None:
        """The source is open and has these tracks, one video among them; before its first packet. Returns what takes
        usual pictures the short way, where there is one.

        At most one track of each kind. ``bursts``: the source delivers a segment
        at a time (HLS), so that its packets' arrival says nothing and they are to be paced out.
        """

    def packet(self, packet: Packet) -> None:
        """The next packet."""

    def heard(self) -> None:
        """The source answered something, so its connection is alive."""


class Reader(Protocol):
    """Reads one source once."""

    async def run(self, source: Source, outlet: Outlet) -> ReaderEnd:
        """Opens ``source`` and feeds ``outlet`` until it ends; never raises for anything that a source does.

        Cancelling closes the source (RTSP: TEARDOWN without waiting for its answer) and returns at once; afterwards
        nothing more is put into ``outlet``.
        """
