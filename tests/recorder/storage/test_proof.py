"""A closed segment is signed, and what was signed can be told again from its file alone."""

import stat
import time
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import pytest

from services.contracts.evidence.statement import is_signed
from services.media.mp4 import reader
from services.mesh.clock import ManualClock
from services.recorder.capture.recording import StreamRecording
from services.recorder.retention.thinning import thin
from services.recorder.storage.disk import LastLink
from services.recorder.storage.disks import Disks
from services.recorder.storage.files import OsFiles
from services.recorder.storage.fsck import FsckKind, check
from services.recorder.storage.key import KEY_FILE, load_key
from services.recorder.storage.paths import RecordedStream
from services.recorder.storage.proof import add_seal
from services.recorder.storage.rows import OpenSeals, Signing
from services.recorder.storage.scan import SegmentScan, scan
from services.recorder.storage.vouching import judge_open
from tests.recorder.rig import SIGNER, STREAM, Rig, decode
from tests.recorder.storage.test_fsck import read_from, sealed_anew
from tests.recorder.units import START_US, pictures


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


def test_statements_about_footage_of_the_past_follow_each_other_however_fast_it_comes(tmp_path: Path) -> None:
    with Rig(tmp_path, pass_seconds=1000) as rig:  # the syncer puts none of it into the index before all is written
        rig.feed(pictures(count=50, start_us=START_US + 3_600_000_000))
        late = StreamRecording(
            STREAM,
            place=rig,
            explain=lambda _from, _to, _seen: ("", ""),
            on_gap=lambda _change, _disk: None,
            last_end_us=None,
            late=True,
        )
        for unit in pictures(count=25 * 130):
            late.record_picture(unit, rig.clock.now_us(), rig.clock.monotonic())
        late.stop()
        rig.settle()
        *past, live = [signed(scan(rig.path(segment), STREAM)).statement() for segment in rig.segments()]
    assert [item.previous for item in past] == ["", past[0].last_link, past[1].last_link]
    assert live.previous == ""


def left_open(directory: Path, *, passes: int = 1) -> Path:
    """Ten seconds of a segment whose recorder was killed."""
    rig = Rig(directory, pass_seconds=1000)
    rig.disk.open()
    rig.feed(pictures(count=25 * 10))
    while not rig.disk.idle:
        time.sleep(0.002)
    for _ in range(passes):
        rig.disk.sync(everything=False)
    (file,) = rig.disk.open_files()
    assert file.path is not None
    rig.disk.fail("killed")
    rig.disk.close()
    return file.path


def test_a_segment_that_death_left_open_is_signed_at_the_next_start(tmp_path: Path) -> None:
    path = left_open(tmp_path)
    with Rig(tmp_path) as rig:
        (row,) = rig.segments()
        assert row.signed is Signing.SIGNED
        signed(scan(path, STREAM))


def test_a_segment_that_death_left_open_is_announced_when_it_is_signed(tmp_path: Path) -> None:
    left_open(tmp_path)
    with Rig(tmp_path) as rig:
        (told,) = rig.closed()
        assert told.proof is not None
        assert told.segment == rig.segments()[0]


def test_the_chain_goes_on_when_a_stream_moves_to_another_disk(tmp_path: Path) -> None:
    links: dict[RecordedStream, LastLink] = {}
    with Rig(tmp_path / "a", links=links) as first:
        first.feed(pictures(count=25 * 10))
        first.settle()
        (before,) = first.segments()
    with Rig(tmp_path / "b", links=links) as second:
        second.feed(pictures(count=25 * 10, first_sequence=251, start_us=before.end_us))
        second.settle()
        found = scan(second.path(second.segments()[0]), STREAM)
    assert found is not None
    assert found.chain == before.link.hex()


async def test_the_chain_goes_on_over_a_restart_where_another_disk_had_the_stream(tmp_path: Path) -> None:
    for name, start_us in (("a", START_US), ("b", START_US + 20_000_000)):
        with Rig(tmp_path / name) as rig:
            rig.feed(pictures(count=25 * 10, start_us=start_us))
            rig.settle()
            last = rig.segments()[-1]
    directories = [tmp_path / "a", tmp_path / "b"]
    disks = Disks(directories, recorder="rec-1", clock=ManualClock(START_US), notify=lambda _disk, _notice: None)
    await disks.open()
    end_us = (await disks.past(STREAM)).end_us
    assert (end_us, disks.streams[STREAM]) == (last.end_us, disks.all[1])
    assert disks.all[0]._links[STREAM] == LastLink(tmp_path / "b", last.link)
    await disks.close()


def forge_open(path: Path) -> None:
    path.write_bytes(sealed_anew(path.read_bytes(), at=20_000))


def cut_open(path: Path) -> None:
    """To fewer fragments, each of which is right."""
    data = path.read_bytes()
    opening = reader.read_opening(read_from(data), len(data))
    path.write_bytes(data[: list(reader.read_fragments(read_from(data), len(data), opening.end))[3].end])


def forge_all_but_the_last_seal(path: Path) -> None:
    """What the index stores last is there: the seals before it are others."""
    data = path.read_bytes()
    forged = bytearray(sealed_anew(data, at=20_000))
    forged[-32:] = data[-32:]
    path.write_bytes(bytes(forged))


@pytest.mark.parametrize("change", [forge_open, cut_open, forge_all_but_the_last_seal])
def test_a_segment_that_was_changed_while_its_recorder_was_dead_is_not_signed(
    change: Callable[[Path], None], tmp_path: Path
) -> None:
    path = left_open(tmp_path)
    change(path)
    with Rig(tmp_path) as rig:
        (row,) = rig.segments()
        assert row.signed is Signing.ALTERED
    found = scan(path, STREAM)
    assert found is not None
    assert found.proof is None
    assert [finding.kind for finding in check(tmp_path).findings] == [FsckKind.BAD_SIGNATURE]
    new = path.with_name(path.name + ".new")
    thinned = thin(path, new, STREAM, every_us=5_000_000, files=OsFiles(), signer=SIGNER, row=row)
    assert (thinned.proof, thinned.segment.signed) == (None, Signing.ALTERED)


def totals_of(found: SegmentScan) -> list[bytes]:
    return list(accumulate(found.links, add_seal, initial=add_seal(b"", found.opening)))[1:]


def test_after_a_power_cut_the_file_may_be_behind_the_index_or_some_seconds_before_it(tmp_path: Path) -> None:
    path = left_open(tmp_path)
    found = scan(path, STREAM)
    assert found is not None
    links, other = totals_of(found), b"other"

    def judged(*seals: bytes, synced: bytes = b"", power_cut: bool = True, late_us: int = 0) -> Signing:
        whole = found._replace(segment=found.segment._replace(end_us=found.segment.end_us + late_us))
        return judge_open(whole, OpenSeals(synced, seals), frozenset(), power_cut=power_cut)

    assert judged(*links, other, other) is Signing.NEVER  # the disk took less than the index knew
    assert judged(other, other, synced=links[-1]) is Signing.NEVER
    assert judged(synced=links[2]) is Signing.NEVER  # the disk took more
    assert judged(*links[:3]) is Signing.NEVER
    assert judged(synced=links[2], late_us=10_000_000) is Signing.UNVOUCHED
    assert judged() is Signing.UNVOUCHED
    assert judged(other, other) is Signing.ALTERED
    assert judged(links[1], other, synced=links[0]) is Signing.ALTERED  # it goes on otherwise
    for seals in ((), links[:-1], (*links, other, other)):
        assert judged(*seals, power_cut=False) is Signing.ALTERED
    assert judged(*links, power_cut=False) is judged(*links, other, power_cut=False) is Signing.NEVER


def test_what_the_index_stores_of_a_file_that_grows_is_short_and_right(tmp_path: Path) -> None:
    with Rig(tmp_path, pass_seconds=1000, sync_seconds=0) as rig:
        units = pictures(count=25 * 20)
        for second in range(20):
            rig.feed(units[second * 25 : second * 25 + 25])
            while not rig.disk.idle:
                time.sleep(0.002)
            if second % 4 == 3:
                rig.disk.sync(everything=False)
            with rig.index() as index:
                for item in index.open_segments():
                    stored = index.open_seals(*item)
                    (file,) = rig.disk.open_files()
                    assert stored.seals[-1] == file.totals[-1]
                    assert len(stored.seals) <= 5
                    expected = len(file.totals) - len(stored.seals)
                    assert stored.synced == (file.totals[expected - 1] if expected else b"")


def test_a_thinned_segment_says_so_and_names_what_it_was_made_from(tmp_path: Path) -> None:
    with Rig(tmp_path) as rig:
        rig.feed(pictures(count=25 * 20))
        rig.settle()
        path = rig.path(rig.segments()[0])
        before = signed(scan(path, STREAM)).statement()
        new = path.with_name(path.name + ".new")
        (row,) = rig.segments()
        thin(path, new, STREAM, every_us=5_000_000, files=OsFiles(), signer=SIGNER, row=row)
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
