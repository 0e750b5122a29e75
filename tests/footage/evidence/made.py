"""A small bundle of real footage, made as a front makes it from recorders' answers."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import services
from services.contracts.evidence.manifest import (
    MANIFEST,
    README,
    REPORT,
    SIGNATURE,
    CameraEvidence,
    Manifest,
    ManifestPart,
    ManifestSignature,
)
from services.contracts.evidence.statement import Statement, canonical, key_id, public_hex, sign
from services.contracts.recordings import FootageGap
from services.footage.evidence import report
from services.footage.evidence.account import part_name
from services.footage.evidence.bundle import BundleWriter
from services.media.mp4 import fragment
from tests.media import encoded, movies

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
START = movies.START_US
FRAGMENT_US = 800_000
SEGMENT_US = 3 * FRAGMENT_US


def footage(start_us: int) -> encoded.Stream:
    """Three GOPs; those of successive segments differ."""
    return encoded.video("libx264", frames=60, gop=20, b_frames=(start_us - START) // SEGMENT_US % 3)


def segment(
    camera: str, start_us: int, previous: str, *, tier: str = "full", made: str = ""
) -> tuple[Statement, bytes, list[bytes]]:
    """The statement, the opening and the fragments of a recorded segment, or of one that was ``made`` up."""
    opening, fragments = movies.file_of(footage(start_us), "h264", start_us=start_us, made=made)
    first = fragment.link(b"", (opening,))
    links = [part[-32:].hex() for part in fragments]
    statement = Statement(
        site="city", camera=camera, profile="main", recorder="recorder-1", path=f"city/{camera}/main/{start_us}.mp4",
        tier=tier, start_us=start_us, end_us=start_us + SEGMENT_US, uncertainty_us=2000, clock="rtcp",
        opening=first.hex(), links=tuple(links), previous=previous, made=made,
    )  # fmt: skip
    return statement, opening, fragments


def part(
    statement: Statement,
    opening: bytes,
    fragments: list[bytes],
    first: int = 0,
    *,
    key: Ed25519PrivateKey = KEY,
    taken: Counter[str] | None = None,
) -> tuple[ManifestPart, bytes]:
    """The fragments from ``first`` on, as a file of a bundle."""
    data = opening + b"".join(fragments[first:])
    from_us = statement.start_us + first * FRAGMENT_US
    made = ManifestPart(
        file=part_name(statement.camera, from_us, Counter() if taken is None else taken),
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        statement=statement,
        signature=sign(key, statement.to_bytes()),
        key_id=key_id(public_hex(key)),
        first=first,
        fragments=len(fragments) - first,
        from_us=from_us,
        to_us=statement.start_us + len(fragments) * FRAGMENT_US,
    )
    return made, data


def manifest_of(
    cameras: list[CameraEvidence], files: dict[str, str], *, key: Ed25519PrivateKey = KEY, **changes: object
) -> Manifest:
    """Their manifest, over the time from the first part's beginning to the last one's end."""
    parts = [part for camera in cameras for part in camera.parts]
    used = {part.key_id for part in parts}
    known = {key_id(public_hex(one)): public_hex(one) for one in (KEY, OTHER_KEY)}
    made = Manifest(
        bundle="bundle-1", created_us=START + 10**9, software=f"pantau {services.__version__}", asked_by="Sari",
        role="supervisor", reason="tabrak lari <Jl. Ijen>",
        from_us=min((part.from_us for part in parts), default=START),
        to_us=max((part.to_us for part in parts), default=START + 1), cameras=tuple(cameras),
        keys={name: known[name] for name in {*used, key_id(public_hex(key))} if name in known}, files=files,
    )  # fmt: skip
    return made.model_copy(update=changes)


async def once(data: bytes) -> AsyncIterator[bytes]:
    yield data[: len(data) // 2]
    yield data[len(data) // 2 :]


async def packed(
    cameras: list[CameraEvidence],
    contents: dict[str, bytes],
    *,
    key: Ed25519PrivateKey = KEY,
    papers: dict[str, bytes] | None = None,
    **changes: object,
) -> bytes:
    """A whole bundle with everything in its place; ``changes`` are to the manifest, before ``key`` signs it."""
    if papers is None:
        page = report.html(manifest_of(cameras, {}, key=key, **changes)).encode()
        papers = {REPORT: page, README: report.README.encode()}
    files = {name: hashlib.sha256(data).hexdigest() for name, data in papers.items()}
    manifest = canonical(manifest_of(cameras, files, key=key, **changes).model_dump(mode="json"))
    signature = ManifestSignature(key_id=key_id(public_hex(key)), signature=sign(key, manifest))
    papers = papers | {MANIFEST: manifest, SIGNATURE: signature.model_dump_json().encode()}
    return await zipped(contents, papers)


async def zipped(contents: dict[str, bytes], papers: dict[str, bytes]) -> bytes:
    """Files in a bundle's form."""
    writer = BundleWriter()
    out = bytearray()
    for name, data in contents.items():
        async for chunk in writer.add(name, once(data)):
            out += chunk
    for name, data in papers.items():
        out += writer.add_bytes(name, data)
    return bytes(out + writer.close())


async def write(path: Path, cameras: list[CameraEvidence], contents: dict[str, bytes], **changes: object) -> None:
    """`packed`, in a file."""
    await asyncio.to_thread(path.write_bytes, await packed(cameras, contents, **changes))  # type: ignore[arg-type]  # of the manifest


def two_segments(camera: str = "cam-1", *, made: str = "") -> tuple[CameraEvidence, dict[str, bytes]]:
    """A camera whose range covers the end of one segment, which may be ``made`` up, and the whole of the next."""
    statement, opening, fragments = segment(camera, START, "", made=made)
    first, first_data = part(statement, opening, fragments, first=1)
    after, opening, fragments = segment(camera, START + SEGMENT_US, statement.last_link)
    second, second_data = part(after, opening, fragments)
    evidence = CameraEvidence(camera=camera, site="city", name="Jl. Ijen", parts=(first, second), gaps=())
    return evidence, {first.file: first_data, second.file: second_data}


def gap(from_us: int, to_us: int) -> FootageGap:
    return FootageGap(from_us=from_us, to_us=to_us, cause="recorder-down")
