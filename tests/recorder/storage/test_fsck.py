"""Damage of every kind is found, named and, where it can be, repaired; then all is in order."""

import hashlib
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.cli.fsck import fsck
from services.media.mp4 import reader
from services.recorder.storage.fsck import FsckKind, NoRecordingsError, check
from services.recorder.storage.identity import DirectoryTakenError, lock
from services.recorder.storage.index import Index
from services.recorder.storage.key import load_key
from services.recorder.storage.paths import INDEX, RECORDINGS
from services.recorder.storage.proof import PROOF_BYTES, Signer
from services.recorder.storage.rows import Segment, SegmentState, Signing
from services.recorder.storage.scan import scan
from tests.recorder.rig import SIGNER, STREAM, Rig
from tests.recorder.units import START_US, pictures


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Three minutes with a gap, everything closed."""
    made = Rig(tmp_path)
    with made:
        made.feed(pictures(count=25 * 90))
        made.feed(pictures(count=25 * 60, first_sequence=10_000, start_us=START_US + 100_000_000))
        made.settle()
    return made


def read_from(data: bytes | bytearray) -> reader.ReadAt:
    return lambda at, size: bytes(data[at : at + size])


def path_of(rig: Rig, number: int = 0) -> Path:
    return rig.path(rig.segments()[number])


def kinds(rig: Rig, *, verify: bool = False) -> list[FsckKind]:
    return [finding.kind for finding in check(rig.disk.directory, verify=verify).findings]


def remove(rig: Rig) -> None:
    path_of(rig).unlink()


def forget(rig: Rig) -> None:
    with closing(Index.open(rig.disk.recordings / INDEX, durable=True)) as index, index:
        index.forget_segments([rig.segments()[0]])


def append(rig: Rig) -> None:
    with path_of(rig).open("ab") as file:
        file.write(b"torn")


def cut(rig: Rig) -> None:
    path = path_of(rig)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def blank(rig: Rig) -> None:
    path_of(rig).write_bytes(b"\0" * 1000)


def lie(rig: Rig) -> None:
    with closing(sqlite3.connect(rig.disk.recordings / INDEX)) as connection:
        connection.execute("UPDATE segment SET frames = 1, end_us = end_us + 5")
        connection.commit()


def join(rig: Rig) -> None:
    with closing(sqlite3.connect(rig.disk.recordings / INDEX)) as connection:
        connection.execute("DELETE FROM run WHERE from_us > ?", (START_US + 90_000_000,))
        connection.commit()


def leave_new(rig: Rig) -> None:
    path_of(rig).with_name(path_of(rig).name + ".new").write_bytes(b"half")


def leave_marks(rig: Rig) -> None:
    first, second, _ = rig.segments()
    with closing(Index.open(rig.disk.recordings / INDEX, durable=True)) as index, index:
        index.set_state([first], SegmentState.DELETING)
        index.set_state([second], SegmentState.REPLACING)


DAMAGES: list[tuple[Callable[[Rig], None], set[FsckKind], int]] = [
    (remove, {FsckKind.MISSING_FILE}, 2),
    (forget, {FsckKind.UNKNOWN_FILE}, 3),
    (append, {FsckKind.TAIL}, 3),
    (lie, {FsckKind.ROW_DIFFERS, FsckKind.RUNS_DIFFER}, 3),
    (join, {FsckKind.RUNS_DIFFER}, 3),
    (leave_new, {FsckKind.LEFTOVER}, 3),
    (leave_marks, {FsckKind.UNSETTLED}, 2),
]


@pytest.mark.parametrize(("damage", "expected", "left"), DAMAGES)
def test_damage_is_found_and_repaired(
    damage: Callable[[Rig], None], expected: set[FsckKind], left: int, rig: Rig
) -> None:
    assert check(rig.disk.directory, verify=True).clean
    damage(rig)
    assert set(kinds(rig)) == expected
    assert set(kinds(rig)) == expected  # nothing was changed
    report = check(rig.disk.directory, repair=True)
    assert report.clean
    assert {finding.kind for finding in report.findings} == expected
    assert kinds(rig, verify=True) == []
    assert len(rig.segments()) == left


def test_a_file_without_footage_is_told_and_kept(rig: Rig) -> None:
    blank(rig)
    report = check(rig.disk.directory, repair=True)
    assert not report.clean
    assert [finding.kind for finding in report.findings] == [FsckKind.NO_FOOTAGE]
    assert len(rig.segments()) == 2


def test_a_changed_byte_is_found_when_asked_to_verify(rig: Rig) -> None:
    path = path_of(rig)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    assert kinds(rig) == []
    assert kinds(rig, verify=True) == [FsckKind.BAD_SIGNATURE]
    report = check(rig.disk.directory, verify=True, repair=True)
    assert not report.clean
    assert path.read_bytes() == data
    assert kinds(rig) == []


def unsign(rig: Rig) -> None:
    path = path_of(rig)
    path.write_bytes(path.read_bytes()[:-PROOF_BYTES])


def forge(rig: Rig) -> None:
    """Another picture with its seals made anew, and no signature."""
    path = path_of(rig)
    path.write_bytes(sealed_anew(path.read_bytes()[:-PROOF_BYTES], at=20_000))


def sign_with_another_key(rig: Rig) -> None:
    path = path_of(rig)
    path.write_bytes(sealed_anew(path.read_bytes()[:-PROOF_BYTES], at=20_000))
    found = scan(path, STREAM)
    assert found is not None
    other = Signer(Ed25519PrivateKey.generate()).sign(found.statement().to_bytes())
    with path.open("ab") as file:
        file.write(other.to_box())


@pytest.mark.parametrize("damage", [cut, unsign, forge, sign_with_another_key])
@pytest.mark.parametrize("index_lost", [False, True])
def test_what_lost_its_signature_is_altered_and_repair_never_signs_it(
    damage: Callable[[Rig], None], index_lost: bool, rig: Rig
) -> None:
    load_key(rig.disk.directory)
    damage(rig)
    before = path_of(rig).read_bytes()
    if index_lost:
        for name in (INDEX, f"{INDEX}-wal", f"{INDEX}-shm"):
            (rig.disk.recordings / name).unlink(missing_ok=True)
    for _ in range(2):
        report = check(rig.disk.directory, repair=True)
        assert not report.clean
        assert FsckKind.BAD_SIGNATURE in {finding.kind for finding in report.findings if not finding.repaired}
        assert len(rig.segments()) == 3
        assert rig.segments()[0].signed is not Signing.NEVER
    found = scan(path_of(rig), STREAM, verify=False)
    assert found is not None
    assert found.proof is None or found.proof.public not in {SIGNER.public}
    assert before.startswith(path_of(rig).read_bytes()[: found.sealed_bytes])


def sealed_anew(data: bytes, *, at: int) -> bytes:
    """``data`` with a byte of its footage changed, and all seals right again: that needs no key."""
    forged = bytearray(data)
    forged[at] ^= 1
    opening = reader.read_opening(read_from(forged), len(forged))
    link = reader.opening_link(read_from(forged), opening)
    for fragment in reader.read_fragments(read_from(forged), len(forged), opening.end):
        link = hashlib.sha256(link + forged[fragment.offset : fragment.data_end]).digest()
        forged[fragment.end - len(link) : fragment.end] = link
    return bytes(forged)


def test_a_segment_that_somebody_else_made_whole_is_not_what_was_signed(rig: Rig) -> None:
    """Each seal is right; what the recorder signed was another description of the footage."""
    path = path_of(rig)
    data = path.read_bytes()
    assert data.count(b'"recorder":"') == 1
    at = data.index(b'"recorder":"') + len(b'"recorder":"')
    path.write_bytes(sealed_anew(data, at=at))
    report = check(rig.disk.directory, verify=True)
    assert not report.clean
    assert {finding.kind for finding in report.findings} == {FsckKind.BAD_SIGNATURE, FsckKind.ROW_DIFFERS}
    assert dict(report.signed) == {SIGNER.sign(b"").key_id: 2}


def test_a_lost_index_is_made_anew_with_all_that_it_said(rig: Rig) -> None:
    before, gaps = rig.segments(), rig.gap_rows()
    assert gaps
    for name in (INDEX, f"{INDEX}-wal", f"{INDEX}-shm"):
        (rig.disk.recordings / name).unlink(missing_ok=True)
    assert kinds(rig) == [FsckKind.BAD_INDEX]
    report = check(rig.disk.directory, repair=True)
    assert report.clean
    assert rig.segments() == before
    assert rig.gap_rows() == gaps
    assert kinds(rig, verify=True) == []


def test_a_damaged_index_is_put_aside_and_made_anew(rig: Rig) -> None:
    before = rig.segments()
    path = rig.disk.recordings / INDEX
    data = bytearray(path.read_bytes())
    data[100:3000] = b"\xff" * 2900
    path.write_bytes(bytes(data))
    assert kinds(rig) == [FsckKind.BAD_INDEX]
    assert check(rig.disk.directory, repair=True).clean
    assert rig.segments() == before
    assert path.with_name(f"{INDEX}.damaged").exists()


def test_what_is_not_ours_is_told_and_left_alone(rig: Rig) -> None:
    foreign = rig.disk.recordings / "city" / "cam-1" / "main" / "holiday.jpg"
    foreign.write_bytes(b"x")
    report = check(rig.disk.directory, repair=True)
    assert report.clean
    assert [finding.kind for finding in report.findings] == [FsckKind.FOREIGN]
    assert foreign.exists()


def test_a_running_recorder_is_no_damage_and_keeps_repair_away(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(pictures(count=25 * 61))
        fd = lock(tmp_path)
        try:
            while not (rig.disk.open_files() and rig.disk.idle):
                time.sleep(0.002)
            report = check(tmp_path)
            assert report.running
            assert report.clean
            with pytest.raises(DirectoryTakenError):
                check(tmp_path, repair=True)
        finally:
            rig.disk.files.close(fd)


def test_the_command_tells_what_it_found_and_by_its_status(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PANTAU_CONFIG", "PANTAU_DATA"):
        monkeypatch.delenv(name, raising=False)
    data = str(rig.disk.directory)
    run = CliRunner().invoke
    assert run(fsck, ["--data", data]).exit_code == 0
    forget(rig)
    found = run(fsck, ["--data", data])
    assert (found.exit_code, "unknown-file" in found.output) == (1, True)
    repaired = run(fsck, ["--data", data, "--repair"])
    assert (repaired.exit_code, "(repaired)" in repaired.output) == (0, True)
    assert run(fsck, ["--data", data + "/elsewhere"]).exit_code == 2


def test_there_must_be_recordings(tmp_path: Path) -> None:
    with pytest.raises(NoRecordingsError):
        check(tmp_path)
    assert not (tmp_path / RECORDINGS).exists()


def test_thinned_rows_can_be_made_anew(rig: Rig) -> None:
    from tests.recorder.retention.test_retention_pass import DAY, NO_HOLDS

    rig.disk.open()
    rig.clock.advance(11 * DAY)
    rig.retention("full 10d, keyframes 60d every 10s").run(NO_HOLDS)
    rig.disk.close()
    before: list[Segment] = rig.segments()
    (rig.disk.recordings / INDEX).unlink()
    assert check(rig.disk.directory, repair=True).clean
    assert rig.segments() == before
    assert all(scan(rig.path(segment), STREAM) for segment in before)


def test_what_a_power_cut_left_without_a_witness_is_told_and_nothing_to_mend(rig: Rig) -> None:
    path = path_of(rig)
    path.write_bytes(path.read_bytes()[:-PROOF_BYTES])
    with closing(sqlite3.connect(rig.disk.recordings / INDEX)) as connection:
        connection.execute(
            "UPDATE segment SET signed = ?, size_bytes = ? WHERE start_us = ?",
            (Signing.UNVOUCHED, path.stat().st_size, rig.segments()[0].start_us),
        )
        connection.commit()
    before = path.read_bytes()
    for repair in (False, True):
        report = check(rig.disk.directory, repair=repair, verify=True)
        assert [(finding.kind, finding.repaired) for finding in report.findings] == [(FsckKind.UNVOUCHED, False)]
        assert report.clean, "no repair could help, and the footage plays"
        assert "" not in report.signed, "it is not one of those that are signed when evidence is asked for"
    assert path.read_bytes() == before
