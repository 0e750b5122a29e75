"""A loop of one track and its file in the cache: encoded once, checked by a digest, written atomically."""

import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from struct import Struct
from tempfile import NamedTemporaryFile
from typing import Final

import msgpack

from services.sim.specs import DRAWING_VERSION, AudioSpec, VideoSpec

ENCODING_VERSION: Final = 1
"""Part of every clip's cache key: raise it when encoder settings or the file's layout change."""

_MAGIC: Final = b"PANTAU-CLIP-1\n"
_LENGTH: Final = Struct(">I")
_DIGEST_BYTES: Final = 32


class ClipError(Exception):
    """A cached file is cut or altered; the clip is made again."""


@dataclass(frozen=True, slots=True)
class ClipUnit:
    """One access unit, in decoding order."""

    presentation: int
    """Position in presentation order, counted in units."""
    keyframe: bool
    data: bytes
    """H.264 and H.265: NAL units behind 4-byte lengths, without parameter sets; else one JPEG or audio frame."""


@dataclass(frozen=True, slots=True)
class EncodedClip:
    """One loop of one track."""

    codec: str
    """FFmpeg's name."""
    width_px: int
    height_px: int
    clock_rate_hz: int
    unit_ticks: int
    """Duration of a unit in ticks of the clock rate."""
    parameter_sets: tuple[bytes, ...]
    """VPS, SPS, PPS as NAL units without start codes; AudioSpecificConfig for AAC."""
    units: tuple[ClipUnit, ...]


@dataclass(frozen=True, slots=True)
class ClipKey:
    """Everything that a clip depends on: equal keys mean equal clips."""

    scene: int
    label: str
    """The text painted into the picture; empty for audio."""
    track: VideoSpec | AudioSpec
    marker: bool = True
    """Whether the pictures carry the marker (`services.sim.pictures.marker`)."""

    @property
    def file_name(self) -> str:
        """The clip's file name in the cache."""
        fields = asdict(self)
        if self.marker:
            del fields["marker"]  # clips from before pictures could do without it are named so
        described = repr((ENCODING_VERSION, DRAWING_VERSION, type(self.track).__name__, fields))
        return hashlib.sha256(described.encode()).hexdigest()[:32] + ".clip"

    def pack(self) -> bytes:
        """The key as bytes, for a worker process."""
        kind = "video" if isinstance(self.track, VideoSpec) else "audio"
        packed: bytes = msgpack.packb((self.scene, self.label, kind, asdict(self.track), self.marker))
        return packed

    @classmethod
    def unpack(cls, data: bytes) -> "ClipKey":
        """The key that `pack` wrote."""
        scene, label, kind, track, marked = msgpack.unpackb(data)
        return cls(scene, label, VideoSpec(**track) if kind == "video" else AudioSpec(**track), marked)


def save(clip: EncodedClip, path: Path) -> None:
    """Writes ``clip`` atomically: ``path`` is never a torn file."""
    head = msgpack.packb(
        (
            clip.codec, clip.width_px, clip.height_px, clip.clock_rate_hz, clip.unit_ticks, clip.parameter_sets,
            [(unit.presentation, unit.keyframe, len(unit.data)) for unit in clip.units],
        )
    )  # fmt: skip
    content = b"".join((_MAGIC, _LENGTH.pack(len(head)), head, *(unit.data for unit in clip.units)))
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=path.stem, suffix=".part", delete=False) as file:
        file.write(content)
        file.write(hashlib.sha256(content).digest())
    os.replace(file.name, path)  # noqa: PTH105 (the source is a plain name here)


def load(path: Path) -> EncodedClip:
    """The clip in ``path``; raises `ClipError` for a file that is cut or altered, OSError where there is none."""
    content = path.read_bytes()
    body, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if not body.startswith(_MAGIC) or hashlib.sha256(body).digest() != digest:
        raise ClipError(f"{path.name} is not a whole clip")
    (head_bytes,) = _LENGTH.unpack_from(body, len(_MAGIC))
    at = len(_MAGIC) + _LENGTH.size
    codec, width, height, clock_rate, unit_ticks, parameter_sets, entries = msgpack.unpackb(body[at : at + head_bytes])
    at += head_bytes
    units = []
    for presentation, keyframe, size in entries:
        units.append(ClipUnit(presentation, keyframe, body[at : at + size]))
        at += size
    return EncodedClip(codec, width, height, clock_rate, unit_ticks, tuple(parameter_sets), tuple(units))
