"""A segment that is being written by the writer and the syncer of its disk (docs/recording.md)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from services import __version__
from services.media.mp4 import fragment, movie
from services.media.mp4.tracks import Track
from services.recorder.storage import gops, orders
from services.recorder.storage.files import Files, append_whole, write_all
from services.recorder.storage.paths import RecordedStream
from services.recorder.storage.proof import PROOF_BYTES, Proof, Signer, add_seal, state
from services.recorder.storage.rows import GapRow, Segment, SegmentState, Signing, Tier
from services.recorder.storage.scan import GopTally
from services.recorder.storage.segment import SegmentBegin, SegmentFragment

Lane = tuple[RecordedStream, bool]
"""A stream's own recording, or (True) what is recorded into its past."""


@dataclass(eq=False)
class SegmentFile:
    """One open segment. The writer changes it; others read single attributes, which only grow."""

    stream: RecordedStream
    begin: SegmentBegin
    recorder: str
    gap: GapRow | None = None
    late: bool = False
    """It is recorded into the past, beside the recording that goes on: `docs/footage.md`, Moves."""
    made: str = ""
    """What made its pictures up, where no camera took them at that time."""
    start_us: int = 0
    """Capture time of the first picture that was written; in the file's name."""
    shift_us: int = 0
    """Added in whole ms where a file of that name exists already."""
    path: Path | None = None
    """Set when the file is there."""
    fd: int = -1
    sealed_bytes: int = 0
    """Up to the last seal."""
    sealed: tuple[int, bytes] = (0, b"")
    """The bytes up to the last seal of a fragment, and that seal; set together, for other threads."""
    end_us: int = 0
    """Where the footage written so far ends. Set after ``sealed``: who reads it first finds it all in these bytes."""
    chain: bytes = b""
    """The last link of the stream's segment before."""
    opening_link: bytes = b""
    links: list[bytes] = field(default_factory=list)
    """Of every fragment."""
    proof: Proof | None = None
    """Set when it is closed and was signed."""
    tally: GopTally = field(default_factory=GopTally)
    fragments: int = 0
    retimed: int = 0
    failed: bool = False
    """It gets no more fragments: its disk failed, or dropped one before."""
    unsynced_since: float | None = None
    """Monotonic time of the oldest fragment that was not fsynced."""
    folders_synced: bool = False
    totals: list[bytes] = field(default_factory=list)
    """Of all seals up to each fragment, as `services.recorder.storage.proof.add_seal` sums them up."""
    orders: list[tuple[int, int]] = field(default_factory=list)
    """Epoch and sequence of the last picture up to each fragment."""
    synced: int = 0
    """How many fragments are known to be on the disk; the syncer sets it."""

    def __post_init__(self) -> None:
        self.start_us = self.begin.start_us
        self.end_us = self.begin.start_us

    @property
    def lane(self) -> "Lane":
        """What is written in one order."""
        return self.stream, self.late

    @property
    def link(self) -> bytes:
        """The last link so far."""
        return self.links[-1] if self.links else self.opening_link

    def opening(self, chain: bytes) -> bytes:
        """``ftyp`` and ``moov``; ``chain`` is the last link of the stream's segment before."""
        begin = self.begin
        info: dict[str, object] = {
            "site": self.stream.site,
            "camera": self.stream.camera,
            "profile": self.stream.profile,
            "recorder": self.recorder,
            "software": f"pantau {__version__}",
            "tier": "full",
            "clock": begin.clock.name.lower(),
            "uncertainty_us": begin.uncertainty_us,
            "chain": chain.hex(),
        }
        if self.gap and self.gap.to_us is not None:
            info["gap"] = {key: getattr(self.gap, key) for key in ("from_us", "to_us", "cause", "detail")}
        if self.made:
            info["made"] = self.made
        tracks: list[Track] = [begin.video, *([begin.audio] if begin.audio else [])]
        return movie.FILE_TYPE + movie.movie(tracks, created_us=self.start_us, info=info)

    def write_opening(self, files: Files, chain: bytes) -> None:
        """Writes it into the file that was just created. Raises ``OSError``."""
        opening = self.opening(chain)
        self.sealed_bytes = write_all(files, self.fd, [opening])
        self.chain = chain
        self.opening_link = fragment.link(b"", (opening,))

    def write_fragment(
        self, files: Files, new: SegmentFragment, now: float, *, note: Callable[[bytes, bytes, bytes], None]
    ) -> None:
        """Appends a fragment with its seal. Raises ``OSError`` after it has cut off what the disk took of it.

        ``note`` stores the total of the seals that are on the disk, those since with the coming one, and the orders of
        all of these, before anything is written.
        """
        runs = [new.video, *([new.audio] if new.audio else [])]
        parts = fragment.build(self.fragments + 1, new.from_us + self.shift_us, runs)
        link = fragment.link(self.link, parts)
        parts.append(fragment.seal(link))
        total = add_seal(self.totals[-1] if self.totals else add_seal(b"", self.opening_link), link)
        synced = self.synced
        known = (*self.orders[max(synced - 1, 0) :], new.order)
        note(self.totals[synced - 1] if synced else b"", b"".join((*self.totals[synced:], total)), orders.pack(known))
        try:
            size_bytes = write_all(files, self.fd, parts)
        except OSError:
            files.truncate(self.fd, self.sealed_bytes)
            raise
        self.tally.add(self.sealed_bytes, fragment.describe(new.video))
        self.links.append(link)
        self.totals.append(total)
        self.orders.append(new.order)
        self.fragments += 1
        self.retimed += new.retimed
        self.sealed_bytes += size_bytes
        self.sealed = self.sealed_bytes, link
        self.end_us = self.start_us + self.tally.length_us
        if self.unsynced_since is None:
            self.unsynced_since = now

    def sign(self, files: Files, signer: Signer, now: float) -> None:
        """Appends the proof of a file that gets no more fragments; where there is no room it stays without one.

        Raises ``OSError`` where the disk fails otherwise.
        """
        segment, _ = self.row()
        said = state(
            segment, recorder=self.recorder, opening=self.opening_link, links=self.links, previous=self.chain.hex(),
            made=self.made,
        )  # fmt: skip
        made = signer.sign(said.to_bytes())
        if not append_whole(files, self.fd, [made.to_box()], self.sealed_bytes):
            return
        self.proof = made
        self.sealed_bytes += PROOF_BYTES
        if self.unsynced_since is None:
            self.unsynced_since = now

    def row(self) -> tuple[Segment, bytes]:
        """The closed segment's row and keyframe index."""
        video, audio = self.begin.video, self.begin.audio
        segment = Segment(
            self.stream, self.start_us, self.end_us, self.sealed_bytes, Tier.FULL, SegmentState.CLOSED,
            self.tally.frames, len(self.tally.gops), video.codec, video.width_px, video.height_px,
            audio.codec if audio else "", self.begin.uncertainty_us, self.begin.clock.name.lower(), self.retimed,
            self.link, Signing.SIGNED if self.proof else Signing.NEVER,
        )  # fmt: skip
        return segment, gops.pack(self.tally.gops)
