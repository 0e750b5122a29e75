"""Checks an evidence bundle offline: every byte of the file, every signature, every fragment, every time, every gap.

A file of several bundles (`services.footage.evidence.handing_out`) is checked bundle by bundle.

Needs nothing but the file. A recorder's public key known from elsewhere makes sure that the bundle's keys are that
recorder's; seals received when the footage was recorded make sure that it is that footage.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, cast

from pydantic import ValidationError

import services
from services.contracts.errors import PantauError
from services.contracts.evidence import manifest as bundle
from services.contracts.evidence import statement
from services.contracts.evidence.exchange import MAX_MANIFEST_BYTES
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
from services.contracts.evidence.statement import canonical, is_signed, key_id
from services.contracts.recordings import MIN_GAP_US
from services.contracts.subjects import is_id
from services.footage.evidence import account, container, report
from services.footage.evidence.container import (
    CHUNK_BYTES,
    COMMENT_BYTES,
    COMMENT_PREFIX,
    BombError,
    FormError,
    StoredEntry,
)
from services.footage.evidence.report import moment
from services.footage.evidence.seals import ReceivedSeals
from services.media.mp4 import reader
from services.media.mp4.boxes import Mp4Error
from services.media.mp4.reader import Fragment
from services.media.time import us_from_90k

MAX_PAPER_BYTES: Final = 64 * 1024 * 1024
"""Of the report, which is compared as a whole."""
MAX_FINDINGS: Final = 100
"""Of a kind: who forges a million of them gets no longer answer."""
_MAX_OPENING_BYTES: Final = 16 * 1024 * 1024
_VIDEO_ID: Final = 1
_CLOCKS_US: Final = 24 * 3600 * 1_000_000
"""A recorder believes a capture time within a day of its clock."""
_PAPERS: Final = (REPORT, README, MANIFEST, SIGNATURE)
_TIERS: Final = ("full", "keyframes")
_BUNDLE_ENDING: Final = ".zip"


class UnreadableError(PantauError):
    """The file is no evidence bundle, or cannot be read at all."""

    code = "unreadable-bundle"


class VerifyFinding(NamedTuple):
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
    damaged_us: dict[str, int] = field(default_factory=dict)
    """Camera → how long its pictures last that were marked as damaged when they were recorded."""
    made_up: Counter[str] = field(default_factory=Counter)
    """Camera → how many of its files are made up, by their statements or their own descriptions."""
    unknown: list[str] = field(default_factory=list)
    """What could not be known, and why; in order of weight."""
    bundles: dict[str, "Verdict"] = field(default_factory=dict)
    """Of a file of several bundles: name → the result for each. The other fields tell of the file alone then."""

    @property
    def intact(self) -> bool:
        """Whether every byte is as it was exported, and all of it is what was signed."""
        if self.findings:
            return False
        return all(each.intact for each in self.bundles.values()) if self.bundles else self.manifest is not None

    @property
    def each(self) -> "list[tuple[str, Verdict]]":
        """The bundles and their names; of a single bundle itself, without a name."""
        return list(self.bundles.items()) or [("", self)]

    def add(self, where: str, what: str) -> None:
        """Notes a finding."""
        self.findings.append(VerifyFinding(where, what))


def verify(path: Path, *, trusted_keys: frozenset[str] = frozenset(), received: ReceivedSeals | None = None) -> Verdict:
    """Checks the bundle at ``path``. Raises `UnreadableError` where it is none.

    ``trusted_keys`` are public keys in hexadecimal: with any given, the bundle's keys must be among them. ``received``
    are the seals that somebody held before the bundle was made.
    """
    verdict = Verdict()
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            _Check(file, size, verdict, trusted_keys, received).run()
    except OSError as error:
        raise UnreadableError(f"cannot read {path}: {error.strerror or error}") from error
    except (BombError, FormError) as error:
        raise UnreadableError(f"{path} is not an evidence bundle: {error}") from error
    return verdict


class _Check:
    def __init__(
        self,
        file: BinaryIO,
        size: int,
        verdict: Verdict,
        trusted_keys: frozenset[str],
        received: ReceivedSeals | None,
        *,
        packed: bool = False,
    ) -> None:
        """``packed``: it stands in another file, so it holds no bundles itself."""
        self._file = file
        self._packed = packed
        self._size = size
        self._verdict = verdict
        self._trusted = trusted_keys
        self._received = received
        self._entries: dict[str, StoredEntry] = {}

    def run(self) -> None:
        """Fills the verdict. Raises `BombError`, and `FormError` where the file never was a bundle."""
        verdict = self._verdict
        seal = self._seal()
        try:
            entries = container.read_entries(self._file, self._size, sealed=seal.right)
        except FormError as error:
            if not seal.there and MANIFEST not in container.foreign_names(self._file, self._size):
                raise
            self._tell_ignorance()
            verdict.add("the ZIP archive", f"is not of a bundle's form: {error}")
            return
        names = {entry.name for entry in entries}
        packed = MANIFEST not in names and not self._packed and any(name.endswith(_BUNDLE_ENDING) for name in names)
        if MANIFEST not in names and not packed and not seal.there:
            raise FormError(f"there is no {MANIFEST} in it")
        if not seal.right:
            verdict.add("the file", "its bytes are not those that were sealed when it was made")
        self._entries = {entry.name: entry for entry in entries}
        if (at := container.differs_at(self._file, self._size, entries)) is not None:
            verdict.add("the ZIP archive", f"is not of a bundle's form at byte {at}")
        if packed:
            self._check_bundles(entries)
            return
        self._tell_ignorance()
        raw = self._read(MANIFEST, MAX_MANIFEST_BYTES)
        if raw is None:
            verdict.add(MANIFEST, "is missing")
            return
        try:
            manifest = Manifest.model_validate_json(raw)
        except ValidationError as error:
            if "recursion" in str(error):
                raise BombError("a manifest of boxes in boxes") from error
            verdict.add(MANIFEST, f"cannot be understood ({error.error_count()} fields are wrong)")
            return
        verdict.manifest = manifest
        self._check_order(entries, manifest)
        self._check_manifest(raw, manifest)
        for recorder, keys in _signers(manifest).items():
            if len(keys) > 1:
                self._verdict.unknown.append(f"whether {', '.join(sorted(keys))} are all keys of {recorder}")
        self._check_papers(manifest)
        for camera in manifest.cameras:
            for part in camera.parts:
                self._check_part(camera, part, manifest)
            _check_account(camera, manifest, verdict)
        if self._received is not None:
            for where, what in islice(self._received.findings(manifest), MAX_FINDINGS):
                verdict.add(where, what)
            if count := self._received.unvouched(manifest):
                verdict.unknown.append(f"whether {count} files are what was recorded: no event speaks of them")
            if count := self._received.thinned(manifest):
                verdict.unknown.append(f"whether {count} thinned files show what they were made from: no event does")
            if count := self._received.said_gone(manifest):
                verdict.unknown.append(f"whether {count} segments that were announced are gone: the manifest says so")

    def _tell_ignorance(self) -> None:
        if not self._trusted:
            self._verdict.unknown.append("whose keys signed this (no --key)")
        if self._received is None:
            self._verdict.unknown.append(
                "whether this is what the recorders announced when they recorded it (no --events)"
            )

    def _check_bundles(self, entries: Sequence[StoredEntry]) -> None:
        """Each bundle of several by itself. Nobody signs for the file that holds them."""
        verdict = self._verdict
        verdict.unknown.append(f"whether bundles were taken out of this file, and what its {README} said")
        if len({entry.name for entry in entries}) != len(entries):
            verdict.add("the ZIP archive", "holds two files of one name")
        for entry in entries:
            folder, _, name = entry.name.removesuffix(_BUNDLE_ENDING).partition("/")
            if not (entry.name.endswith(_BUNDLE_ENDING) and is_id(folder) and is_id(name)):  # such as ../../x.zip
                if entry.name != README:
                    verdict.add(entry.name, "does not belong to the file")
                continue
            found = verdict.bundles.setdefault(entry.name, Verdict())
            inner = cast("BinaryIO", container.StoredFile(self._file, entry))
            try:
                _Check(inner, entry.size_bytes, found, self._trusted, self._received, packed=True).run()
            except FormError as error:
                found.add("the ZIP archive", f"is not of a bundle's form: {error}")

    def _seal(self) -> "_Seal":
        """Compares the whole file with the hash at its end."""
        file, size = self._file, self._size
        file.seek(max(size - COMMENT_BYTES, 0))
        comment = file.read(COMMENT_BYTES)
        file.seek(0)
        digest = hashlib.sha256()
        left = size - COMMENT_BYTES
        while left > 0 and (chunk := file.read(min(left, CHUNK_BYTES))):
            digest.update(chunk)
            left -= len(chunk)
        expected = COMMENT_PREFIX + digest.hexdigest().encode()
        alike = sum(a == b for a, b in zip(comment, expected, strict=False))
        there = comment.startswith(COMMENT_PREFIX[:8]) or alike > COMMENT_BYTES // 2
        return _Seal(there, comment == expected)

    def _read(self, name: str, most_bytes: int) -> bytes | None:
        """A file of the bundle; raises `BombError` where it is larger than it can be."""
        entry = self._entries.get(name)
        if entry is None:
            return None
        if entry.size_bytes > most_bytes:
            raise BombError(f"{name} has {entry.size_bytes} bytes")
        return b"".join(container.read_content(self._file, entry))

    def _check_order(self, entries: Sequence[StoredEntry], manifest: Manifest) -> None:
        """The files that the manifest names, in its order, then the papers, and nothing else."""
        verdict = self._verdict
        found = [entry.name for entry in entries]
        wanted = [part.file for camera in manifest.cameras for part in camera.parts] + list(_PAPERS)
        for name in islice(sorted(set(found) - set(wanted)), MAX_FINDINGS):
            verdict.add(name, "does not belong to the bundle")
        for name in islice(sorted({REPORT, README, SIGNATURE} - set(found)), MAX_FINDINGS):
            verdict.add(name, "is missing")
        if len(found) != len(set(found)):
            verdict.add("the ZIP archive", "holds two files of one name")
        elif set(found) == set(wanted) and found != wanted:
            verdict.add("the ZIP archive", "its files are not in the manifest's order")
        streamed = {part.file for camera in manifest.cameras for part in camera.parts}
        if any(entry.streamed != (entry.name in streamed) for entry in entries):
            verdict.add("the ZIP archive", "a file's sizes are not written as a bundle's are")

    def _check_manifest(self, raw: bytes, manifest: Manifest) -> None:
        verdict = self._verdict
        parts = [part for camera in manifest.cameras for part in camera.parts]
        signer = self._check_signature(raw, manifest)
        for name, public in manifest.keys.items():
            if not is_key(public) or key_id(public) != name:
                verdict.add(MANIFEST, f"the key {name} is not the one of that name")
        if set(manifest.keys) != {part.key_id for part in parts} | {signer}:
            verdict.add(MANIFEST, "its keys are not those that signed what is in the bundle")
        if self._trusted and (strange := set(manifest.keys.values()) - self._trusted):
            told = ", ".join(sorted(key[:16] for key in strange))
            verdict.add(MANIFEST, f"signed with keys that are not trusted: {told}")
        if manifest.format != bundle.FORMAT:
            verdict.add(MANIFEST, f"its format is {manifest.format!r}")
        if not manifest.from_us < manifest.to_us:
            verdict.add(MANIFEST, "its range ends before it begins")
        if any(part.statement.start_us - manifest.created_us > _CLOCKS_US for part in parts):
            verdict.add(MANIFEST, "was made before the footage in it was recorded")
        if any(part.statement.growing and manifest.created_us - part.statement.end_us > _CLOCKS_US for part in parts):
            verdict.add(MANIFEST, "says of footage that it was still being written, long after it was recorded")
        if not manifest.cameras:
            verdict.add(MANIFEST, "names no camera")
        names = [camera.camera for camera in manifest.cameras]
        if len(names) != len(set(names)):
            verdict.add(MANIFEST, "names a camera twice")
        if set(manifest.files) != {REPORT, README}:
            verdict.add(MANIFEST, "its papers are not a report and a read-me")

    def _check_signature(self, raw: bytes, manifest: Manifest) -> str:
        """The short name of the key that answers for the manifest."""
        data = self._read(SIGNATURE, CHUNK_BYTES)
        if data is None:
            return ""
        try:
            signature = ManifestSignature.model_validate_json(data)
        except ValidationError:
            self._verdict.add(SIGNATURE, "cannot be understood")
            return ""
        if data != canonical(signature.model_dump(mode="json")):
            self._verdict.add(SIGNATURE, "is not written as a bundle's is")
        if raw != canonical(manifest.model_dump(mode="json")) or not is_signed(
            manifest.keys.get(signature.key_id, ""), signature.signature, raw
        ):
            self._verdict.add(MANIFEST, "is not what was signed")
        return signature.key_id

    def _check_papers(self, manifest: Manifest) -> None:
        """The papers are those that were signed; and say what the manifest says, where this version wrote them."""
        same = manifest.software == f"pantau {services.__version__}"
        if not same:
            self._verdict.unknown.append(f"whether {REPORT} says what the manifest says: {manifest.software} wrote it")
        for name, expected in ((REPORT, report.html), (README, lambda _: report.README)):
            data = self._read(name, MAX_PAPER_BYTES)
            if data is None:
                continue
            if hashlib.sha256(data).hexdigest() != manifest.files.get(name):
                self._verdict.add(name, "was altered")
            elif same and data != expected(manifest).encode():
                self._verdict.add(name, "does not say what the manifest says")

    def _check_part(self, camera: CameraEvidence, part: ManifestPart, manifest: Manifest) -> None:
        verdict, said = self._verdict, part.statement
        where = f"{part.file} ({camera.camera}, {moment(part.from_us)})"
        if said.camera != camera.camera:
            verdict.add(where, f"is footage of {said.camera}")
        if said.site != camera.site:
            verdict.add(where, f"is footage of a camera of {said.site}")
        if said.profile != camera.parts[0].statement.profile:
            verdict.add(where, f"is footage of the profile {said.profile}")
        if said.format != statement.FORMAT or said.tier not in _TIERS:
            verdict.add(where, "its statement is of an unknown kind")
        if not is_signed(manifest.keys.get(part.key_id, ""), part.signature, said.to_bytes()):
            verdict.add(where, "the recorder's signature is not over this statement")
        entry = self._entries.get(part.file)
        if entry is None:
            verdict.add(where, "is missing")
            return
        digest = hashlib.sha256()
        for chunk in container.read_content(self._file, entry):
            digest.update(chunk)
        if digest.hexdigest() != part.sha256 or entry.size_bytes != part.size_bytes:
            verdict.add(where, "was altered")
        self._check_fragments(entry, part, where, camera.camera)

    def _check_fragments(self, entry: StoredEntry, part: ManifestPart, where: str, camera: str) -> None:
        """Compares each fragment with the signed seals, and names the first that differs."""
        verdict, said, size = self._verdict, part.statement, entry.size_bytes

        def read(at: int, wanted: int) -> bytes:
            self._file.seek(entry.data_at + min(at, size))
            return self._file.read(max(min(wanted, size - at), 0))

        try:
            opening = reader.read_opening(read, size)
            if opening.end > _MAX_OPENING_BYTES:
                raise Mp4Error(f"{opening.end} bytes")  # noqa: TRY301 (told like any other damage)
            links = [bytes.fromhex(link) for link in said.links]
            first = bytes.fromhex(said.opening)
        except (Mp4Error, ValueError) as error:
            verdict.add(where, f"its opening is damaged ({error})")
            return
        if reader.opening_link(read, opening) != first:
            verdict.add(where, "its opening is not the one that was signed")
        described = str(opening.movie.info.get("made", ""))
        if said.made and described != said.made:
            verdict.add(where, "its description does not say that it is made up, and its statement does")
        verdict.made_up[camera] += bool(said.made or described)
        index, from_us, to_us, end = part.first, 0, 0, opening.end
        for fragment in reader.read_fragments(read, size, opening.end):
            before = links[index - 1] if 0 < index <= len(links) else first
            signed = links[index] if index < len(links) else b""
            if fragment.link != signed or not reader.verify(read, before, fragment):
                verdict.add(where, f"the fragment at {moment(fragment.capture_us)} (number {index + 1}) was altered")
                return
            from_us = from_us if index > part.first else fragment.capture_us
            to_us, end = fragment.end_us(_VIDEO_ID), fragment.end
            verdict.fragments += 1
            if damaged_us := _damaged_us(fragment):
                verdict.damaged_us[camera] = verdict.damaged_us.get(camera, 0) + damaged_us
            index += 1
        missing = part.first + part.fragments - index
        if missing > 0:
            verdict.add(
                where, f"{missing} of {part.fragments} fragments are missing or damaged, from number {index + 1} on"
            )
        elif missing < 0:
            verdict.add(where, f"holds {-missing} fragments more than the manifest says")
        elif end != size:
            verdict.add(where, f"{size - end} bytes at its end do not belong to it")
        else:
            ends = [to_us, *([said.end_us] if index == len(links) else [])]
            if part.from_us != from_us or not any(abs(part.to_us - at) <= account.ROUNDING_US for at in ends):
                verdict.add(where, f"was taken from {moment(from_us)} to {moment(to_us)}, not when the manifest says")


def _damaged_us(fragment: Fragment) -> int:
    """How long a fragment's pictures last that are marked as damaged."""
    pictures = fragment.info.runs.get(_VIDEO_ID)
    if pictures is None or not any(pictures.damages):
        return 0
    return us_from_90k(sum(picture.duration for picture in pictures if picture.damaged))


class _Seal(NamedTuple):
    """The hash at the end of a file."""

    there: bool
    """Also where it is damaged."""
    right: bool


def _signers(manifest: Manifest) -> dict[str, set[str]]:
    """Recorder → the keys that signed its statements: several where it got a new key, or another used its name."""
    found: dict[str, set[str]] = {}
    for camera in manifest.cameras:
        for part in camera.parts:
            found.setdefault(part.statement.recorder, set()).add(part.key_id)
    return found


def is_key(public: str) -> bool:
    """Whether it is a public key as manifests write it."""
    return len(public) == 64 and set(public) <= set("0123456789abcdef")


def _check_account(camera: CameraEvidence, manifest: Manifest, verdict: Verdict) -> None:
    """Holds the parts and gaps of a camera against each other, and against the range."""

    def tell(where: Iterable[str], what: str) -> None:
        for item in islice(where, MAX_FINDINGS):
            verdict.add(item, what)

    parts = camera.parts
    tell(_misnamed(camera), "is not the name of footage from then")
    tell((part.file for part in account.find_repeated(parts)), "is in the bundle twice")
    tell((part.file for part in account.find_disorder(parts)), "parts are not in the order of time")
    outside = (part.file for part in parts if not _touches(part, manifest))
    tell(outside, "is not of the range")
    holes = account.find_holes(parts, manifest.from_us, manifest.to_us)
    for hole in islice(account.untold(holes, camera.gaps, manifest.to_us), MAX_FINDINGS):
        where = f"{camera.camera} between {moment(hole.from_us)} and {moment(hole.to_us)}"
        verdict.add(where, f"{hole.what}, and the manifest does not speak of it: footage is missing")
    if any(gap.to_us is not None and gap.to_us < gap.from_us for gap in camera.gaps):
        verdict.add(camera.camera, "a gap ends before it begins")


def _misnamed(camera: CameraEvidence) -> Iterator[str]:
    taken: Counter[str] = Counter()
    for part in camera.parts:
        try:
            named = part.file == account.part_name(camera.camera, part.from_us, taken)
        except (OverflowError, ValueError, OSError):
            named = False
        if not named:
            yield part.file


def _touches(part: ManifestPart, manifest: Manifest) -> bool:
    slack = MIN_GAP_US
    return part.from_us < manifest.to_us + slack and part.to_us > manifest.from_us - slack
