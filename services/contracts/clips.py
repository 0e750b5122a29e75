"""The question to a recorder for a clip, and the tables in its answer.

The answer to `ClipQuestion` is a transfer (`services.mesh.transfer`) of messages: ``T`` and a packed `ClipTable` for
each segment; ``E``, the end of the tables; then the bytes of the tables' chunks in order, without a letter in front.
"""

import sys
from array import array
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

import msgpack

from services.contracts.errors import UnavailableError
from services.contracts.models import Id, Model
from services.media.mp4.tracks import AudioTrack, Track, VideoTrack

CLIP: Final = "clip"
MAX_CLIP_US: Final = 24 * 3600 * 1_000_000


class ClipQuestion(Model):
    """Send the samples of a range to ``deliver_to``."""

    camera: Id
    site: Id | None = None
    """As in `services.contracts.recordings.TimelineQuestion`."""
    profile: str = "main"
    from_us: int
    to_us: int
    deliver_to: str


class ClipOpened(Model):
    """The transfer waits for credit on ``control`` (`services.mesh.transfer`)."""

    control: str


class ClipChunk(NamedTuple):
    """Samples that follow each other in a fragment."""

    track: int
    """0 picture, 1 sound."""
    at: int
    """Decoding time of the first sample since the question's ``from_us``, in the track's timescale."""
    samples: "array[int]"
    """For each: size, duration, composition offset (two's complement), and 1 for a keyframe plus 2 for a picture that
    is marked as damaged."""


@dataclass(frozen=True)
class ClipTable:
    """A segment's samples."""

    tracks: tuple[Track | None, Track | None]
    tier: str
    chunks: tuple[ClipChunk, ...]
    made: str = ""
    """``demo`` where no camera took these pictures."""

    def pack(self) -> bytes:
        """The table as bytes."""
        return b"T" + bytes(
            msgpack.packb(
                {
                    "tracks": [list(track) if track else None for track in self.tracks],
                    "tier": self.tier,
                    "made": self.made,
                    "chunks": [
                        [chunk.track, chunk.at, _little_endian(chunk.samples).tobytes()] for chunk in self.chunks
                    ],
                }
            )
        )

    @classmethod
    def unpack(cls, message: bytes) -> Self:
        """Reads the bytes of `pack`; raises `UnavailableError` for anything else."""
        try:
            table: dict[str, Any] = msgpack.unpackb(message[1:])
            video, audio = table["tracks"]
            chunks = []
            for track, at, packed in table["chunks"]:
                samples = array("I")
                samples.frombytes(packed)
                if len(samples) % 4:
                    raise ValueError("a chunk of samples is cut")  # noqa: TRY301 (told as all else here)
                chunks.append(ClipChunk(track, at, _little_endian(samples)))
            return cls(
                (VideoTrack(*video) if video else None, AudioTrack(*audio) if audio else None),
                table["tier"],
                tuple(chunks),
                table.get("made", ""),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise UnavailableError(f"a recorder's answer could not be read: {error}") from error


def _little_endian(samples: "array[int]") -> "array[int]":
    """The table as bytes, and back."""
    if sys.byteorder == "big":
        samples = array("I", samples)
        samples.byteswap()
    return samples
