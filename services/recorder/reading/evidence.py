"""Evidence from segments, in the form of `services.contracts.evidence.exchange`. Blocks; run it in a thread.

Each segment's signature and each fragment's seal are verified first. What fails is left out and reported as a gap.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Final

from pydantic import ValidationError

import services
from services.contracts.errors import InvalidInputError, UnavailableError
from services.contracts.evidence.exchange import ALTERED, DATA, GAP, PART_BEGINS, PART_ENDS, PartBegins, PartEnds
from services.contracts.evidence.manifest import Manifest
from services.contracts.evidence.statement import Statement, canonical
from services.contracts.permissions import Actor
from services.contracts.recordings import FootageGap, GapCause
from services.media.mp4 import reader
from services.media.mp4.boxes import Mp4Error
from services.media.mp4.reader import Fragment, Opening, ReadAt
from services.mesh.log import get_logger
from services.recorder.archive.archive import ArchiveError, ArchiveTrouble
from services.recorder.reading.footage import SegmentSource, read_messages
from services.recorder.storage import gops
from services.recorder.storage.paths import parse_path
from services.recorder.storage.proof import Proof, Signer
from services.recorder.storage.rows import Signing
from services.recorder.storage.scan import VIDEO_ID, SegmentScan, scan_opened
from services.recorder.storage.vouching import VOUCHED, judge

log = get_logger()

SOFTWARE: Final = f"pantau {services.__version__}"
MAX_AGE_US: Final = 3600 * 1_000_000
"""A manifest says that it was made now."""


def messages(
    sources: Sequence[SegmentSource],
    from_us: int,
    to_us: int,
    signer: Signer | None,
    keys: frozenset[str] = frozenset(),
) -> Iterator[bytes]:
    """All messages of the transfer. ``keys`` are the public keys that this recorder ever had, beside ``signer``'s."""
    keys = keys | {signer.public} if signer is not None else keys
    for source in sources:
        try:
            with source.opened(verified=True) as (read, size):
                yield from _segment(read, size, source, from_us, to_us, signer, keys)
        except FileNotFoundError:
            yield _gap(source.start_us, source.end_us, GapCause.EXPIRED, "removed while the evidence was being made")
        except ArchiveError as error:
            if error.trouble is not ArchiveTrouble.DIFFERS:
                raise
            log.warning("evidence.altered", path=str(source.path), error=error)
            yield _gap(source.start_us, source.end_us, ALTERED, error.message)
        except (Mp4Error, OSError) as error:
            yield _gap(source.start_us, source.end_us, GapCause.DISK_FAILED, f"{source.path.name}: {error}")


def _gap(from_us: int, to_us: int, cause: str, detail: str) -> bytes:
    return GAP + FootageGap(from_us=from_us, to_us=to_us, cause=cause, detail=detail).pack()


def _segment(
    read: ReadAt,
    size: int,
    source: SegmentSource,
    from_us: int,
    to_us: int,
    signer: Signer | None,
    keys: frozenset[str],
) -> Iterator[bytes]:
    size = min(size, source.sealed_bytes) if source.growing else size
    named = parse_path(PurePath(*source.path.parts[-8:]))
    found = scan_opened(read, size, source.path, named[0], verify=False) if named else None
    if found is not None and found.proof is None:  # its last seal tells of all before it when each follows another
        found = scan_opened(read, size, source.path, found.segment.stream)
    if found is None:
        yield _gap(source.start_us, source.end_us, ALTERED, f"{source.path.name} holds no footage any more")
        return
    proof = found.proof  # a growing segment may have been closed meanwhile
    statement = found.statement(growing=source.growing and proof is None)
    if not _is_recorded(found, source, keys):
        log.warning("evidence.altered", path=str(source.path))
        what = "is not what was signed" if proof is not None else "has no signature, and is not what was recorded"
        yield _gap(source.start_us, source.end_us, ALTERED, f"{source.path.name} {what}")
        return
    if proof is None:
        if signer is None:
            raise UnavailableError("the recorder's key cannot be read, and some of this footage is not signed yet")
        proof = signer.sign(statement.to_bytes())
    # The file may have been thinned since it was looked up: what is in it now counts.
    source = source._replace(start_us=statement.start_us, gops=gops.unpack(found.gops))
    begin = source.begin(from_us)
    opening = reader.read_opening(read, size)
    parts = _Parts(read, opening, statement, proof)
    if begin is not None:
        yield from parts.run(list(reader.read_fragments(read, size, opening.end)), begin.fragment_offset, to_us)


def _is_recorded(found: SegmentScan, source: SegmentSource, keys: frozenset[str]) -> bool:
    """Whether a file is what was recorded: by its signature, or by what is known of a segment that was never signed."""
    if source.growing and found.proof is None:
        return found.segment.link == source.link
    if found.proof is None and source.opener is not None:
        return source.signed is Signing.NEVER  # the whole object is what was sent
    row = found.segment._replace(signed=source.signed, link=source.link)
    return judge(found, row, keys) in VOUCHED


class _Parts:
    """A segment's parts: one, unless fragments in between are damaged."""

    def __init__(self, read: ReadAt, opening: Opening, statement: Statement, proof: Proof) -> None:
        self._read = read
        self._opening = opening
        self._statement = statement
        self._proof = proof
        self._count = 0
        self._end_us = 0

    def run(self, fragments: Sequence[Fragment], from_offset: int, to_us: int) -> Iterator[bytes]:
        """The fragments from ``from_offset`` on that begin before ``to_us``."""
        link = bytes.fromhex(self._statement.opening)
        for number, fragment in enumerate(fragments):
            before, link = link, fragment.link
            if fragment.offset < from_offset:
                continue
            if fragment.capture_us >= to_us:
                yield from self._end()
                return
            last = number + 1 == len(fragments)
            end_us = self._statement.end_us if last else fragments[number + 1].capture_us
            if not self._sound(before, fragment):
                yield from self._end()
                yield _gap(fragment.capture_us, end_us, ALTERED, f"fragment {number + 1} of {self._statement.path}")
            elif self._count or _starts_at_keyframe(fragment):
                if not self._count:
                    yield from self._begin(number, fragment)
                self._count += 1
                self._end_us = self._statement.end_us if last else fragment.end_us(VIDEO_ID)
                yield from self._data(fragment.offset, fragment.end)
            else:
                yield _gap(fragment.capture_us, end_us, ALTERED, "cannot be decoded without the fragment before")
        yield from self._end()

    def _sound(self, before: bytes, fragment: Fragment) -> bool:
        try:
            return reader.verify(self._read, before, fragment)
        except OSError:
            return False

    def _begin(self, first: int, fragment: Fragment) -> Iterator[bytes]:
        begins = PartBegins(
            statement=self._statement,
            signature=self._proof.signature,
            public=self._proof.public,
            first=first,
            from_us=fragment.capture_us,
        )
        yield PART_BEGINS + begins.pack()
        yield from self._data(0, self._opening.end)

    def _data(self, at: int, end: int) -> Iterator[bytes]:
        for data in read_messages(self._read, at, end):
            yield DATA + data

    def _end(self) -> Iterator[bytes]:
        if self._count:
            yield PART_ENDS + PartEnds(fragments=self._count, to_us=self._end_us).pack()
            self._count = 0


def _starts_at_keyframe(fragment: Fragment) -> bool:
    pictures = fragment.info.runs.get(VIDEO_ID)
    return bool(pictures and pictures[0].keyframe)


def sign_manifest(raw: bytes, signer: Signer | None, actor: Actor, now_us: int) -> Proof:
    """Signs a manifest in its canonical form that was made just now for ``actor``.

    Nothing else is signed: a key that signed any bytes would sign forged statements. Raises `InvalidInputError`,
    `UnavailableError`.
    """
    if signer is None:
        raise UnavailableError("the recorder's key cannot be read; see its log")
    try:
        manifest = Manifest.model_validate_json(raw)
    except ValidationError as error:
        raise InvalidInputError(f"not a manifest: {error.error_count()} fields are wrong") from error
    if raw != canonical(manifest.model_dump(mode="json")):
        raise InvalidInputError("the manifest is not in its canonical form")
    if manifest.asked_by != actor.name or manifest.role != actor.role:
        raise InvalidInputError("the manifest names somebody else than who asks")
    if manifest.software != SOFTWARE:
        # Verify compares a report with the manifest where its own version wrote it, so nobody may claim another one.
        raise InvalidInputError(f"the manifest was made by {manifest.software}, and this recorder is {SOFTWARE}")
    if abs(manifest.created_us - now_us) > MAX_AGE_US:
        raise InvalidInputError("the manifest does not say that it is made now")
    if signer.public not in manifest.keys.values():
        raise InvalidInputError("the manifest does not name the key that is to sign it")
    return signer.sign(raw)
