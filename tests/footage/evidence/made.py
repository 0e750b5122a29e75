"""A small bundle of real footage, made as a front makes it from recorders' answers."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

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
from services.footage.evidence.bundle import BundleWriter
from services.media.mp4 import fragment
from tests.media import encoded, movies

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
START = movies.START_US


def footage(start_us: int) -> encoded.Stream:
    """Three GOPs; those of successive segments differ."""
    return encoded.video("libx264", frames=60, gop=20, b_frames=start_us // 2_000_000 % 3)


def segment(camera: str, start_us: int, previous: str, *, tier: str = "full") -> tuple[Statement, bytes, list[bytes]]:
    """The statement, the opening and the fragments of a recorded segment."""
    opening, fragments = movies.file_of(footage(start_us), "h264")
    first = fragment.link(b"", (opening,))
    links = [part[-32:].hex() for part in fragments]
    statement = Statement(
        site="city", camera=camera, profile="main", recorder="recorder-1", path=f"city/{camera}/main/{start_us}.mp4",
        tier=tier, start_us=start_us, end_us=start_us + 2_000_000, uncertainty_us=2000, clock="rtcp",
        opening=first.hex(), links=tuple(links), previous=previous,
    )  # fmt: skip
    return statement, opening, fragments


def part(statement: Statement, opening: bytes, fragments: list[bytes], first: int = 0) -> tuple[ManifestPart, bytes]:
    """The fragments from ``first`` on, as a file of a bundle."""
    data = opening + b"".join(fragments[first:])
    made = ManifestPart(
        file=f"{statement.camera}/{statement.start_us}.mp4",
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        statement=statement,
        signature=sign(KEY, statement.to_bytes()),
        key_id=key_id(public_hex(KEY)),
        first=first,
        fragments=len(fragments) - first,
        from_us=statement.start_us,
        to_us=statement.end_us,
    )
    return made, data


def manifest_of(cameras: list[CameraEvidence], files: dict[str, str]) -> Manifest:
    public = public_hex(KEY)
    return Manifest(
        bundle="bundle-1", created_us=START + 10**9, software="pantau test", asked_by="Sari", role="supervisor",
        reason="tabrak lari <Jl. Ijen>", from_us=START, to_us=START + 4_000_000, cameras=tuple(cameras),
        keys={key_id(public): public}, files=files,
    )  # fmt: skip


async def once(data: bytes) -> AsyncIterator[bytes]:
    yield data[: len(data) // 2]
    yield data[len(data) // 2 :]


async def write(path: Path, cameras: list[CameraEvidence], contents: dict[str, bytes]) -> None:
    """A whole bundle with everything in its place."""
    page = report.html(manifest_of(cameras, {})).encode()
    readme = report.README.encode()
    files = {REPORT: hashlib.sha256(page).hexdigest(), README: hashlib.sha256(readme).hexdigest()}
    manifest = canonical(manifest_of(cameras, files).model_dump(mode="json"))
    signature = ManifestSignature(key_id=key_id(public_hex(KEY)), signature=sign(KEY, manifest))
    writer = BundleWriter()
    out = bytearray()
    for name, data in contents.items():
        async for chunk in writer.add(name, once(data)):
            out += chunk
    for name, data in ((REPORT, page), (README, readme), (MANIFEST, manifest)):
        out += writer.add_bytes(name, data)
    out += writer.add_bytes(SIGNATURE, signature.model_dump_json().encode())
    out += writer.close()
    await asyncio.to_thread(path.write_bytes, bytes(out))


def two_segments(camera: str = "cam-1") -> tuple[CameraEvidence, dict[str, bytes]]:
    """A camera whose range covers the end of one segment and the whole of the next."""
    statement, opening, fragments = segment(camera, START, "")
    first, first_data = part(statement, opening, fragments, first=1)
    after, opening, fragments = segment(camera, START + 2_000_000, statement.last_link)
    second, second_data = part(after, opening, fragments)
    evidence = CameraEvidence(camera=camera, site="city", name="Jl. Ijen", parts=(first, second), gaps=())
    return evidence, {first.file: first_data, second.file: second_data}


def gap(from_us: int, to_us: int) -> FootageGap:
    return FootageGap(from_us=from_us, to_us=to_us, cause="recorder-down")
