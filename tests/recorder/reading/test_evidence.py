"""A recorder hands out what it recorded, and signs late only what it never signed. All else is told as altered."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.contracts.errors import UnavailableError
from services.contracts.evidence.exchange import ALTERED, DATA, GAP, PART_BEGINS, PART_ENDS, PartBegins, PartEnds
from services.contracts.evidence.statement import is_signed
from services.contracts.recordings import FootageGap
from services.media.mp4.reader import ReadAt
from services.recorder.archive.archive import ArchiveError, ArchiveTrouble, NoArchive
from services.recorder.reading import evidence
from services.recorder.reading.footage import RecordedFootage, SegmentSource
from services.recorder.storage.proof import PROOF_BYTES, Signer
from services.recorder.storage.rows import Signing
from services.recorder.storage.scan import scan
from tests.recorder.rig import SIGNER, STREAM, Rig
from tests.recorder.storage.test_fsck import sealed_anew
from tests.recorder.units import pictures


@dataclass
class Answer:
    """The messages of a transfer, taken apart."""

    begins: list[PartBegins] = field(default_factory=list)
    ends: list[PartEnds] = field(default_factory=list)
    gaps: list[FootageGap] = field(default_factory=list)
    size_bytes: int = 0

    @property
    def causes(self) -> list[str]:
        return [gap.cause for gap in self.gaps]


def taken_apart(messages: Iterator[bytes]) -> Answer:
    found = Answer()
    for message in messages:
        kind, body = message[:1], message[1:]
        if kind == PART_BEGINS:
            begins = PartBegins.unpack(body)
            assert is_signed(begins.public, begins.signature, begins.statement.to_bytes())
            found.begins.append(begins)
        elif kind == PART_ENDS:
            found.ends.append(PartEnds.unpack(body))
        elif kind == GAP:
            found.gaps.append(FootageGap.unpack(body))
        else:
            assert kind == DATA
            found.size_bytes += len(body)
    return found


def sources(rig: Rig) -> list[SegmentSource]:
    return RecordedFootage("rec-1", [rig.disk], NoArchive()).sources("cam-1", "main", 0, 1 << 60)


def answer(rig: Rig) -> Answer:
    """All of the rig's footage as evidence."""
    return taken_apart(evidence.messages(sources(rig), 0, 1 << 60, rig.disk.signer, rig.disk.keys))


@pytest.fixture
def unsigned(tmp_path: Path) -> Iterator[Rig]:
    """Ten seconds that were closed without a signature, as on a full disk; the recorder has its key again."""
    with Rig(tmp_path, signer=None) as rig:
        rig.feed(pictures(count=25 * 10))
        rig.settle()
        rig.disk.signer = SIGNER
        yield rig


def path_of(rig: Rig) -> Path:
    return rig.path(rig.segments()[0])


def test_what_was_never_signed_is_signed_when_it_is_asked_for(unsigned: Rig) -> None:
    (row,) = unsigned.segments()
    assert row.signed is Signing.NEVER
    found = answer(unsigned)
    assert found.gaps == []
    (begins,), (ends,) = found.begins, found.ends
    assert (begins.public, begins.statement.growing) == (SIGNER.public, False)
    assert (begins.from_us, ends.to_us) == (row.start_us, row.end_us)
    assert begins.statement.last_link == row.link.hex()
    unsigned.disk.signer = None
    with pytest.raises(UnavailableError):
        answer(unsigned)


def changed(path: Path) -> None:
    path.write_bytes(sealed_anew(path.read_bytes(), at=20_000))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def foreign_key(path: Path) -> None:
    changed(path)
    found = scan(path, STREAM)
    assert found is not None
    with path.open("ab") as file:
        file.write(Signer(Ed25519PrivateKey.generate()).sign(found.statement().to_bytes()).to_box())


def changed_but_for_the_last_seal(path: Path) -> None:
    data = path.read_bytes()
    forged = bytearray(sealed_anew(data, at=20_000))
    forged[-32:] = data[-32:]
    path.write_bytes(bytes(forged))


@pytest.mark.parametrize("change", [changed, cut, foreign_key, changed_but_for_the_last_seal])
def test_what_was_changed_before_it_was_ever_signed_is_altered(change: Callable[[Path], None], unsigned: Rig) -> None:
    change(path_of(unsigned))
    found = answer(unsigned)
    assert (found.begins, found.causes) == ([], [ALTERED])


def unsign(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-PROOF_BYTES])


def unsign_and_change(path: Path) -> None:
    unsign(path)
    changed(path)


def sign_with_foreign_key(path: Path) -> None:
    unsign(path)
    foreign_key(path)


@pytest.mark.parametrize("change", [unsign, unsign_and_change, sign_with_foreign_key])
def test_what_lost_its_signature_is_never_signed_again(change: Callable[[Path], None], tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(pictures(count=25 * 10))
        rig.settle()
        change(path_of(rig))
        found = answer(rig)
    assert (found.begins, found.causes) == ([], [ALTERED])


def test_a_growing_segment_is_signed_as_such_and_only_as_it_was_written(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(pictures(count=25 * 10))
        while not (rig.disk.idle and rig.disk.open_files()):
            pass
        found = answer(rig)
        (begins,) = found.begins
        assert begins.statement.growing
        (source,) = sources(rig)
        data = source.path.read_bytes()
        for change in (changed, changed_but_for_the_last_seal):
            source.path.write_bytes(data)
            change(source.path)
            found = answer(rig)
            assert (found.begins, found.causes) == ([], [ALTERED])


def test_a_segment_that_is_closed_after_it_was_looked_up_is_handed_out_up_to_there(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(pictures(count=25 * 10))
        while not (rig.disk.idle and rig.disk.open_files()):
            pass
        looked_up = sources(rig)
        rig.settle()
        found = taken_apart(evidence.messages(looked_up, 0, 1 << 60, SIGNER, rig.disk.keys))
        assert found.gaps == []
        assert len(found.begins) == 1


def archived(rig: Rig, *, trouble: ArchiveTrouble | None = None, signed: Signing = Signing.SIGNED) -> SegmentSource:
    """The rig's segment as a copy in the archive."""
    (source,) = sources(rig)
    data = source.path.read_bytes()

    @contextmanager
    def opener(*, verified: bool) -> Iterator[tuple[ReadAt, int]]:
        assert verified, "evidence compares the whole object"
        if trouble is not None:
            raise ArchiveError(trouble, "the archive says no")
        yield lambda at, size: io.BytesIO(data[at : at + size]).read(), len(data)

    return source._replace(opener=opener, signed=signed, link=b"")


def test_an_object_that_is_not_what_was_sent_is_altered_and_one_that_cannot_be_read_is_an_error(unsigned: Rig) -> None:
    def ask(source: SegmentSource) -> Answer:
        return taken_apart(evidence.messages([source], 0, 1 << 60, SIGNER))

    assert ask(archived(unsigned, trouble=ArchiveTrouble.DIFFERS)).causes == [ALTERED]
    with pytest.raises(ArchiveError):
        ask(archived(unsigned, trouble=ArchiveTrouble.UNREACHABLE))
    assert len(ask(archived(unsigned, signed=Signing.NEVER)).begins) == 1
    assert ask(archived(unsigned, signed=Signing.SIGNED)).causes == [ALTERED]
