"""The movie box: its parts, that of a fragmented file (no samples, ``mvex``), and reading the latter."""

import json
from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

from services.media.mp4.boxes import Mp4Error, box, children, find, full_box, need, u32, u64
from services.media.mp4.tracks import AudioTrack, Track, VideoTrack, parse_sample_entries, sample_entry
from services.media.time import SECOND_90K

MOVIE_TIMESCALE: Final = SECOND_90K
EPOCH_1904_SECONDS: Final = 2_082_844_800
"""From MP4's epoch to Unix's."""
INFO_UUID: Final = UUID("6f2b7d1e-3c55-5d0a-9b5e-70616e746175").bytes
"""Of our box that describes the recording, as JSON."""
_MATRIX: Final = b"".join(n.to_bytes(4, "big") for n in (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000))
_DINF: Final = box(b"dinf", full_box(b"dref", 0, 0, b"\0\0\0\1", full_box(b"url ", 0, 1)))
_NO_SAMPLES: Final = b"".join(
    full_box(kind, 0, 0, bytes(8 if kind == b"stsz" else 4)) for kind in (b"stts", b"stsc", b"stsz", b"stco")
)
FILE_TYPE: Final = box(b"ftyp", b"iso6", bytes(4), b"iso6isomavc1mp41")


class MovieInfo(NamedTuple):
    """The content of a file's movie box."""

    tracks: dict[int, Track]
    """By track id."""
    created_us: int
    """Unix µs; whole seconds."""
    info: dict[str, object]
    """Our description of the recording; empty in files of others."""


def movie(
    tracks: Sequence[Track],
    *,
    created_us: int,
    info: dict[str, object],
) -> bytes:
    """The movie box of a fragmented file. Tracks get the ids 1, 2, …"""
    traks = [
        trak(number, (track,), created_us=created_us, duration_90k=0, media_duration=0, tables=_NO_SAMPLES)
        for number, track in enumerate(tracks, 1)
    ]
    extends = [
        full_box(b"trex", 0, 0, number.to_bytes(4, "big"), b"\0\0\0\1", bytes(12)) for number, _ in enumerate(tracks, 1)
    ]
    return box(
        b"moov",
        movie_header(created_us, 0, len(tracks) + 1),
        *traks,
        box(b"mvex", *extends),
        info_box(info),
    )


def movie_header(created_us: int, duration_90k: int, next_track_id: int) -> bytes:
    """``mvhd``, version 1."""
    created = (created_us // 1_000_000 + EPOCH_1904_SECONDS).to_bytes(8, "big")
    return full_box(
        b"mvhd", 1, 0,
        created, created, MOVIE_TIMESCALE.to_bytes(4, "big"), duration_90k.to_bytes(8, "big"),
        b"\0\1\0\0\1\0", bytes(10), _MATRIX, bytes(24), next_track_id.to_bytes(4, "big"),
    )  # fmt: skip


def info_box(info: dict[str, object]) -> bytes:
    """The ``uuid`` box that carries ``info``."""
    return box(b"uuid", INFO_UUID, json.dumps(info, separators=(",", ":"), sort_keys=True).encode())


def trak(
    number: int,
    descriptions: Sequence[Track],
    *,
    created_us: int,
    duration_90k: int,
    media_duration: int,
    tables: bytes,
    edits: bytes = b"",
) -> bytes:
    """A track whose samples are of one or more ``descriptions``; ``tables`` follow its ``stsd``."""
    track = descriptions[0]
    created = (created_us // 1_000_000 + EPOCH_1904_SECONDS).to_bytes(8, "big")
    video = isinstance(track, VideoTrack)
    width, height = (track.width_px, track.height_px) if isinstance(track, VideoTrack) else (0, 0)
    handler = b"vide" if video else b"soun"
    return box(
        b"trak",
        full_box(
            b"tkhd", 1, 3,  # enabled, in the movie
            created, created, number.to_bytes(4, "big"), bytes(4), duration_90k.to_bytes(8, "big"),
            bytes(12), b"\0\0" if video else b"\1\0", bytes(2), _MATRIX,
            (width << 16).to_bytes(4, "big"), (height << 16).to_bytes(4, "big"),
        ),
        edits,
        box(
            b"mdia",
            full_box(
                b"mdhd", 1, 0,
                created, created, track.timescale.to_bytes(4, "big"), media_duration.to_bytes(8, "big"),
                b"\x55\xc4\0\0",  # language "und"
            ),
            full_box(b"hdlr", 0, 0, bytes(4), handler, bytes(12), b"\0"),
            box(
                b"minf",
                full_box(b"vmhd", 0, 1, bytes(8)) if video else full_box(b"smhd", 0, 0, bytes(4)),
                _DINF,
                box(
                    b"stbl",
                    full_box(b"stsd", 0, 0, len(descriptions).to_bytes(4, "big"), *map(sample_entry, descriptions)),
                    tables,
                ),
            ),
        ),
    )  # fmt: skip


def parse_movie(moov: bytes) -> MovieInfo:
    """Read the content of a movie box (without its header). Raises `Mp4Error`."""
    header = need(moov, "mvhd")
    version = moov[header.start]
    created = u64(moov, header.start + 4) if version == 1 else u32(moov, header.start + 4)
    tracks: dict[int, Track] = {}
    info: dict[str, object] = {}
    for child in children(moov):
        if child.kind == b"trak":
            tkhd = need(moov, "tkhd", child.start, child.end)
            number = u32(moov, tkhd.start + (20 if moov[tkhd.start] == 1 else 12))
            mdhd = need(moov, "mdia/mdhd", child.start, child.end)
            timescale = u32(moov, mdhd.start + (20 if moov[mdhd.start] == 1 else 12))
            stsd = need(moov, "mdia/minf/stbl/stsd", child.start, child.end)
            entries = parse_sample_entries(moov, stsd.start, stsd.end)
            if not entries or not timescale:
                raise Mp4Error("a track without sample entry or timescale")
            entry = entries[0]
            tracks[number] = entry._replace(sample_rate_hz=timescale) if isinstance(entry, AudioTrack) else entry
        elif child.kind == b"uuid" and moov[child.start : child.start + 16] == INFO_UUID:
            try:
                parsed = json.loads(moov[child.start + 16 : child.end])
            except ValueError as error:
                raise Mp4Error("the recording's description is damaged") from error
            info = parsed if isinstance(parsed, dict) else {}
    if find(moov, "mvex") is None:
        raise Mp4Error("not a fragmented file")
    return MovieInfo(tracks, (created - EPOCH_1904_SECONDS) * 1_000_000, info)
