"""Checks an evidence bundle offline: every byte of the file, every signature, every fragment, and every gap.

Needs nothing but the bundle; a recorder's public key known from elsewhere (``segment_closed`` events announce it) makes
sure that the bundle's own keys are that recorder's.
"""

import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import IO, BinaryIO, Final

from pydantic import ValidationError

from services.contracts.errors import PantauError
from services.contracts.evidence.manifest import (
    MANIFEST,
    SIGNATURE,
    CameraEvidence,
    Manifest,
    ManifestPart,
    ManifestSignature,
)
from services.contracts.evidence.statement import canonical, is_signed, key_id
from services.contracts.recordings import MIN_GAP_US
from services.footage.evidence.bundle import COMMENT_BYTES, COMMENT_PREFIX
from services.media.mp4 import reader
from services.media.mp4.boxes import Mp4Error

_CHUNK_BYTES: Final = 1024 * 1024


class UnreadableError(PantauError):
    """The file is no evidence bundle, or cannot be read at all."""

    code = "unreadable-bundle"


@dataclass(frozen=True)
class VerifyFinding:
    """A difference from what was signed."""

    where: str
    what: str


@dataclass
class Verdict:
    """The result of a check."""

    manifest: Manifest | None = None
    findings: list[VerifyFinding] = field(default_factory=list)
    fragments: int = 0
    """How many fragments were compared with their signed seals."""

    @property
    def intact(self) -> bool:
        """Whether every byte is as it was exported."""
        return self.manifest is not None and not self.findings

    def add(self, where: str, what: str) -> None:
        """Notes a finding."""
        self.findings.append(VerifyFinding(where, what))


def verify(path: Path, *, trusted_keys: frozenset[str] = frozenset()) -> Verdict:
    """Checks the bundle at ``path``. Raises `UnreadableError` where it is none.

    ``trusted_keys`` are public keys in hexadecimal: with any given, the bundle's keys must be among them.
    """
    verdict = Verdict()
    try:
        with path.open("rb") as file:
            sealed = _check_seal(file, path.stat().st_size, verdict)
            try:
                with zipfile.ZipFile(file) as archive:
                    _check_archive(archive, verdict, trusted_keys)
                if not sealed:
                    verdict.add("the file", "the seal at its end is missing, or something follows it")
            # What `zipfile` raises for damage: NotImplementedError for a compression or version that it does not know.
            except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, RuntimeError, KeyError) as error:
                if not sealed:
                    raise UnreadableError(f"{path} is not an evidence bundle: {error}") from error
                verdict.add("the ZIP archive", f"its structure is damaged ({error})")
    except OSError as error:
        raise UnreadableError(f"cannot read {path}: {error.strerror or error}") from error
    return verdict


def _check_seal(file: BinaryIO, size: int, verdict: Verdict) -> bool:
    """Compares the whole file with the hash at its end; returns whether there is one (a damaged one, too)."""
    file.seek(max(size - COMMENT_BYTES, 0))
    comment = file.read()
    file.seek(0)
    digest = hashlib.sha256()
    left = size - COMMENT_BYTES
    while left > 0 and (chunk := file.read(min(left, _CHUNK_BYTES))):
        digest.update(chunk)
        left -= len(chunk)
    file.seek(0)
    expected = COMMENT_PREFIX + digest.hexdigest().encode()
    if comment == expected:
        return True
    alike = sum(a == b for a, b in zip(comment, expected, strict=False))
    sealed = comment.startswith(COMMENT_PREFIX[:8]) or alike > COMMENT_BYTES // 2
    if sealed:
        verdict.add("the file", "its bytes are not those that were sealed when it was made")
    return sealed


def _check_archive(archive: zipfile.ZipFile, verdict: Verdict, trusted_keys: frozenset[str]) -> None:
    names = [entry.filename for entry in archive.infolist()]
    if MANIFEST not in names:
        raise zipfile.BadZipFile(f"there is no {MANIFEST} in it")
    raw = archive.read(MANIFEST)
    try:
        manifest = Manifest.model_validate_json(raw)
    except ValidationError as error:
        verdict.add(MANIFEST, f"cannot be understood ({error.error_count()} fields are wrong)")
        return
    verdict.manifest = manifest
    _check_manifest(archive, names, raw, manifest, verdict)
    if trusted_keys and (strange := set(manifest.keys.values()) - trusted_keys):
        verdict.add(MANIFEST, f"signed with keys that are not trusted: {', '.join(sorted(map(key_id, strange)))}")
    known = {MANIFEST, SIGNATURE, *manifest.files}
    for name, expected in manifest.files.items():
        if name not in names:
            verdict.add(name, "is missing")
        elif _sha256(archive, name) != expected:
            verdict.add(name, "was altered")
    for camera in manifest.cameras:
        known |= {part.file for part in camera.parts}
        _check_camera(archive, names, camera, manifest.keys, verdict)
    for name in sorted(set(names) - known):
        verdict.add(name, "does not belong to the bundle")
    if len(names) != len(set(names)):
        verdict.add("the ZIP archive", "holds two files of one name")


def _check_manifest(
    archive: zipfile.ZipFile, names: list[str], raw: bytes, manifest: Manifest, verdict: Verdict
) -> None:
    if SIGNATURE not in names:
        verdict.add(SIGNATURE, "is missing: nobody answers for the manifest")
        return
    try:
        signature = ManifestSignature.model_validate_json(archive.read(SIGNATURE))
    except ValidationError:
        verdict.add(SIGNATURE, "cannot be understood")
        return
    for name, public in manifest.keys.items():
        if key_id(public) != name:
            verdict.add(MANIFEST, f"the key {name} is not the one of that name")
    if raw != canonical(manifest.model_dump(mode="json")) or not is_signed(
        manifest.keys.get(signature.key_id, ""), signature.signature, raw
    ):
        verdict.add(MANIFEST, "is not what was signed")


def _check_camera(
    archive: zipfile.ZipFile, names: list[str], camera: CameraEvidence, keys: dict[str, str], verdict: Verdict
) -> None:
    for part in camera.parts:
        where = f"{part.file} ({camera.camera}, {moment(part.from_us)})"
        if part.statement.camera != camera.camera:
            verdict.add(where, f"is footage of {part.statement.camera}")
        if not is_signed(keys.get(part.key_id, ""), part.signature, part.statement.to_bytes()):
            verdict.add(where, "the recorder's signature is not over this statement")
        if part.file not in names:
            verdict.add(where, "is missing")
        elif _sha256(archive, part.file) != part.sha256:
            verdict.add(where, "was altered")
            _find_fragment(archive, part, where, verdict)
        else:
            _find_fragment(archive, part, where, verdict)
    _check_order(camera, verdict)


def _find_fragment(archive: zipfile.ZipFile, part: ManifestPart, where: str, verdict: Verdict) -> None:
    """Compares each fragment with the signed seals, and names the first that differs."""
    with archive.open(part.file) as entry:
        try:
            data = b"".join(_chunks(entry))
        except (zipfile.BadZipFile, EOFError) as error:
            verdict.add(where, f"cannot be read whole ({error})")
            return

    def read(at: int, size: int) -> bytes:
        return data[at : at + size]

    links = [bytes.fromhex(link) for link in part.statement.links]
    try:
        opening = reader.read_opening(read, len(data))
    except Mp4Error as error:
        verdict.add(where, f"its opening is damaged ({error})")
        return
    if reader.opening_link(read, opening).hex() != part.statement.opening:
        verdict.add(where, "its opening is not the one that was signed")
    end = opening.end
    index = part.first
    for fragment in reader.read_fragments(read, len(data), opening.end):
        before = links[index - 1] if index else bytes.fromhex(part.statement.opening)
        signed = links[index] if index < len(links) else b""
        if fragment.link != signed or not reader.verify(read, before, fragment):
            verdict.add(where, f"the fragment at {moment(fragment.capture_us)} (number {index + 1}) was altered")
            return
        verdict.fragments += 1
        index += 1
        end = fragment.end
    if index - part.first != part.fragments:
        missing = part.first + part.fragments - index
        verdict.add(
            where, f"{missing} of {part.fragments} fragments are missing or damaged, from number {index + 1} on"
        )
    elif end != len(data):
        verdict.add(where, f"{len(data) - end} bytes at its end do not belong to it")


def _check_order(camera: CameraEvidence, verdict: Verdict) -> None:
    """Between two parts there must be no time, or a gap that the manifest names."""
    for before, after in pairwise(camera.parts):
        where = f"{camera.camera} between {moment(before.to_us)} and {moment(after.from_us)}"
        if after.from_us < before.from_us:
            verdict.add(where, "parts are not in the order of time")
        same = before.statement.path == after.statement.path
        joined = before.first + before.fragments == after.first
        whole = before.first + before.fragments == len(before.statement.links) and after.first == 0
        # A thinned segment's own seals are new: the next one names the last of those that it was made from.
        known = ("", before.statement.last_link, before.statement.thinned_from)
        # Another disk's or another recorder's footage has a chain of its own: there the signed times decide.
        close = after.from_us - before.to_us < MIN_GAP_US
        follows = after.statement.previous in known or close
        other = after.statement.recorder != before.statement.recorder
        told = any(gap.from_us < after.from_us and (gap.to_us or after.from_us) > before.to_us for gap in camera.gaps)
        missing = not close if other else not (joined if same else whole and follows)
        if missing and not told:
            verdict.add(where, "footage is missing that the manifest does not speak of")


def _sha256(archive: zipfile.ZipFile, name: str) -> str:
    digest = hashlib.sha256()
    with archive.open(name) as entry:
        for chunk in _chunks(entry):
            digest.update(chunk)
    return digest.hexdigest()


def _chunks(entry: IO[bytes]) -> Iterator[bytes]:
    """The entry's content. ZIP's own checksum is not asked: our hashes say where the damage is, and need the bytes."""
    entry._expected_crc = None  # type: ignore[attr-defined]  # zipfile has no public way to read a damaged entry
    while chunk := entry.read(_CHUNK_BYTES):
        yield chunk


def moment(at_us: int) -> str:
    """A time for people: RFC 3339, UTC, milliseconds."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
