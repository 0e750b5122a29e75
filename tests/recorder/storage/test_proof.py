"""A closed segment is signed, and what was signed can be told again from its file alone."""

import stat
from pathlib import Path

import pytest

from services.contracts.evidence.statement import is_signed
from services.recorder.retention.thinning import thin
from services.recorder.storage.files import OsFiles
from services.recorder.storage.fsck import FsckKind, check
from services.recorder.storage.key import KEY_FILE, load_key
from services.recorder.storage.proof import PROOF_BYTES
from services.recorder.storage.scan import SegmentScan, scan
from tests.recorder.rig import SIGNER, STREAM, Rig, decode
from tests.recorder.units import pictures


def signed(found: SegmentScan | None) -> SegmentScan:
    assert found is not None
    assert found.proof is not None
    assert found.proof.public == SIGNER.public
    assert is_signed(SIGNER.public, found.proof.signature, found.statement().to_bytes())
    return found


def test_closed_segments_are_signed_and_their_statements_follow_each_other(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(pictures(count=25 * 130))
        rig.settle()
        segments = rig.segments()
        assert len(segments) == 3
        statements = [signed(scan(rig.path(segment), STREAM)).statement() for segment in segments]
        for segment in segments:
            assert segment.size_bytes == rig.path(segment).stat().st_size
            assert len(decode(rig.path(segment))) == segment.frames
        told = [notice.proof.signature for notice in rig.closed() if notice.proof]
        assert len(told) == 3
    assert [item.previous for item in statements] == ["", statements[0].last_link, statements[1].last_link]
    assert [item.path for item in statements] == [str(rig.path(s).relative_to(rig.disk.recordings)) for s in segments]
    report = check(tmp_path, verify=True)
    assert report.findings == ()


def test_a_segment_that_death_left_open_is_signed_at_the_next_start(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(pictures(count=25 * 70))
        rig.settle()
        last = rig.segments()[-1]
        path = rig.path(last)
        with path.open("r+b") as file:  # as after a power cut in the middle of the signature
            file.truncate(last.size_bytes - PROOF_BYTES // 2)
        with rig.index() as index:
            assert index.open_segments() == []
    report = check(tmp_path)
    assert {finding.kind for finding in report.findings} >= {FsckKind.TAIL}
    (tmp_path / "recordings" / "index.sqlite3").unlink()
    load_key(tmp_path)  # another key than the rig's: as after the first disk was replaced
    assert check(tmp_path, repair=True).clean
    assert check(tmp_path, verify=True).findings == ()
    found = scan(path, STREAM)
    assert found is not None
    assert found.proof is not None
    assert found.proof.public != SIGNER.public
    assert is_signed(found.proof.public, found.proof.signature, found.statement().to_bytes())
    with Rig(tmp_path) as rig:
        signed(scan(rig.path(rig.segments()[0]), STREAM))


def test_a_thinned_segment_says_so_and_names_what_it_was_made_from(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(pictures(count=25 * 20))
        rig.settle()
        path = rig.path(rig.segments()[0])
        before = signed(scan(path, STREAM)).statement()
        new = path.with_name(path.name + ".new")
        thin(path, new, STREAM, every_us=5_000_000, files=OsFiles(), signer=SIGNER)
        new.replace(path)
        after = signed(scan(path, STREAM)).statement()
        assert (after.tier, after.thinned_from) == ("keyframes", before.last_link)
        assert (after.previous, after.start_us) == (before.previous, before.start_us)


def test_the_key_is_made_once_is_private_and_never_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = load_key(tmp_path / "data")
    assert made is not None
    path = tmp_path / "data" / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = load_key(tmp_path / "data")
    assert again is not None
    assert again.public == made.public == path.with_suffix(".pub").read_text().strip()
    path.write_text("damaged")
    assert load_key(tmp_path / "data") is None
    assert path.read_text() == "damaged"
    assert "PRIVATE" not in capsys.readouterr().err
