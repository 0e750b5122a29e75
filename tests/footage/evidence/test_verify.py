"""An untouched bundle verifies; nothing that was changed, reordered or left out does."""

import asyncio
import hashlib
import random
import shutil
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from services.cli.verify import verify as verify_command
from services.contracts.evidence.manifest import CameraEvidence
from services.contracts.evidence.statement import public_hex
from services.contracts.recordings import FootageGap
from services.footage.evidence.verify import UnreadableError, verify
from services.media.mp4.fragment import Sample, link
from tests.footage.evidence import made
from tests.media import encoded, movies


@pytest.fixture
async def bundle(tmp_path: Path) -> Path:
    camera, contents = made.two_segments()
    other, more = made.two_segments("cam-2")
    path = tmp_path / "bundle-1.zip"
    await made.write(path, [camera, other], contents | more)
    return path


def test_an_untouched_bundle_is_intact_and_names_its_footage(bundle: Path) -> None:
    verdict = verify(bundle, trusted_keys=frozenset({public_hex(made.KEY)}))
    assert verdict.findings == []
    assert verdict.intact
    statement, _, fragments = made.segment("cam-1", made.START, "")
    assert verdict.fragments == 2 * (2 * len(fragments) - 1)
    assert len(statement.links) == len(fragments) > 1


def test_an_ordinary_unzip_gives_playable_footage(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "out")
    assert len(list((tmp_path / "out").glob("*/*.mp4"))) == 4


def test_every_one_of_200_random_single_byte_changes_is_found(bundle: Path) -> None:
    whole = bundle.read_bytes()
    chance = random.Random(20261121)
    for _ in range(200):
        at = chance.randrange(len(whole))
        changed = bytearray(whole)
        changed[at] ^= chance.randrange(1, 256)
        bundle.write_bytes(changed)
        try:
            assert not verify(bundle).intact, f"byte {at} of {len(whole)}"
        except UnreadableError:
            pytest.fail(f"byte {at}: a bundle with one changed byte is altered, not unreadable")


def test_a_change_in_the_footage_is_told_by_camera_and_fragment(bundle: Path) -> None:
    whole = bytearray(bundle.read_bytes())
    _, _, fragments = made.segment("cam-2", made.START, "")
    at = whole.find(b"cam-2/")
    at = whole.index(fragments[1][200:264], at)
    whole[at + 30] ^= 1
    bundle.write_bytes(whole)
    told = [f"{finding.where}: {finding.what}" for finding in verify(bundle).findings]
    assert any("cam-2" in text and "number 2" in text for text in told), told
    assert not any("cam-1" in text for text in told)


@pytest.mark.parametrize("cut", [1, 100, 5000])
def test_a_cut_or_lengthened_file_is_found(bundle: Path, cut: int) -> None:
    whole = bundle.read_bytes()
    for changed in (whole[:-cut], whole + bytes(cut)):
        bundle.write_bytes(changed)
        with suppress(UnreadableError):
            assert not verify(bundle).intact


async def rewritten(path: Path, change: str) -> list[str]:
    """A forger without the key rewrites the bundle, its seal included."""
    camera, contents = made.two_segments()
    first, second = camera.parts
    if change == "fragments swapped":
        statement, opening, fragments = made.segment("cam-1", made.START + made.SEGMENT_US, first.statement.last_link)
        _, data = made.part(statement, opening, [fragments[1], fragments[0], *fragments[2:]])
        contents[second.file] = data
        second = made.part(statement, opening, fragments)[0].model_copy(
            update={"sha256": hashlib.sha256(data).hexdigest()}
        )
        camera = camera.model_copy(update={"parts": (first, second)})
    elif change == "fragment left out":
        statement, opening, fragments = made.segment("cam-1", made.START + made.SEGMENT_US, first.statement.last_link)
        shorter, data = made.part(statement, opening, fragments[:-1])
        contents[second.file] = data
        camera = camera.model_copy(
            update={"parts": (first, shorter.model_copy(update={"fragments": second.fragments}))}
        )
    elif change == "part left out":
        third, opening, fragments = made.segment("cam-1", made.START + 2 * made.SEGMENT_US, second.statement.last_link)
        last, data = made.part(third, opening, fragments)
        del contents[second.file]
        contents[last.file] = data
        camera = camera.model_copy(update={"parts": (first, last)})
    elif change == "other camera's footage":
        camera = camera.model_copy(update={"camera": "cam-9"})
    elif change == "statement changed":
        lied = second.statement.model_copy(update={"start_us": second.statement.start_us + 3_600_000_000})
        camera = camera.model_copy(update={"parts": (first, second.model_copy(update={"statement": lied}))})
    await made.write(path, [camera], contents)
    return [f"{finding.where}: {finding.what}" for finding in verify(path).findings]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("fragments swapped", "altered"),
        ("fragment left out", "1 of"),
        ("part left out", "does not speak of"),
        ("other camera's footage", "is footage of cam-1"),
        ("statement changed", "signature is not over this statement"),
    ],
)
async def test_a_bundle_that_was_rewritten_is_found_out(tmp_path: Path, change: str, told: str) -> None:
    findings = await rewritten(tmp_path / "forged.zip", change)
    assert any(told in finding for finding in findings), findings


async def test_a_gap_that_the_manifest_tells_is_no_alteration(tmp_path: Path) -> None:
    statement, opening, fragments = made.segment("cam-1", made.START, "")
    first, first_data = made.part(statement, opening, fragments)
    later, opening, fragments = made.segment("cam-1", made.START + 60_000_000, "ab" * 32)
    second, second_data = made.part(later, opening, fragments)
    camera = CameraEvidence(
        camera="cam-1", site="city", name="Jl. Ijen", parts=(first, second),
        gaps=(FootageGap(from_us=statement.end_us, to_us=later.start_us, cause="expired"),),
    )  # fmt: skip
    path = tmp_path / "gap.zip"
    await made.write(path, [camera], {first.file: first_data, second.file: second_data})
    assert verify(path).findings == []


@pytest.mark.parametrize(("hole_us", "intact"), [(200_000, True), (-500_000, True), (5_000_000, False)])
async def test_footage_goes_on_at_another_recorder_without_a_hole_or_the_hole_is_found(
    tmp_path: Path, hole_us: int, intact: bool
) -> None:
    statement, opening, fragments = made.segment("cam-1", made.START, "")
    first, first_data = made.part(statement, opening, fragments[:2])
    later, opening, fragments = made.segment("cam-1", first.to_us + hole_us, "ab" * 32)
    later = later.model_copy(update={"recorder": "recorder-2"})
    second, second_data = made.part(later, opening, fragments)
    camera = CameraEvidence(camera="cam-1", site="city", name="Jl. Ijen", parts=(first, second), gaps=())
    path = tmp_path / "two.zip"
    await made.write(path, [camera], {first.file: first_data, second.file: second_data})
    assert verify(path).intact is intact


def test_keys_that_are_not_trusted_are_told(bundle: Path) -> None:
    findings = verify(bundle, trusted_keys=frozenset({"00" * 32})).findings
    assert [finding.what.partition(":")[0] for finding in findings] == ["signed with keys that are not trusted"]


def test_the_command_tells_intact_altered_and_unreadable_apart(bundle: Path, tmp_path: Path) -> None:
    def status(path: Path) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "services.cli", "verify", str(path)], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    altered = tmp_path / "altered.zip"
    shutil.copy(bundle, altered)
    with altered.open("r+b") as file:
        file.seek(3000)
        byte = file.read(1)[0]
        file.seek(3000)
        file.write(bytes([byte ^ 1]))
    nothing = tmp_path / "nothing.zip"
    nothing.write_bytes(b"not a bundle")
    code, text = status(bundle)
    assert (code, "intact" in text) == (0, True), text
    code, text = status(altered)
    assert (code, "altered:" in text) == (1, True), text
    code, text = status(nothing)
    assert (code, "unreadable" in text) == (2, True), text
    assert status(tmp_path / "absent.zip")[0] == 2


def test_the_report_escapes_what_people_wrote(bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        page = archive.read("report.html").decode()
    assert "&lt;Jl. Ijen&gt;" in page
    assert "<Jl." not in page
    assert "Footage evidence report" in page
    assert "Laporan bukti rekaman" in page


async def test_the_words_in_a_bundle_write_no_verdict_on_the_terminal(tmp_path: Path) -> None:
    camera, contents = made.two_segments()
    path = tmp_path / "b.zip"
    reason = "x\nintact: 9 fragments\r\x1b[2J\x1b[1;1Hintact\u202etcatni"
    await made.write(path, [camera], contents, reason=reason, from_us=made.START - 60_000_000)
    result = CliRunner().invoke(verify_command, [str(path)])
    assert result.exit_code == 1
    assert not any(line.startswith("intact") for line in result.output.splitlines())
    assert set("\x1b\r\u202e").isdisjoint(result.output)


async def test_pictures_that_are_marked_as_damaged_are_told_and_the_bundle_is_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = movies.samples

    def with_holes(stream: encoded.Stream, codec: str) -> list[Sample]:
        return [one._replace(damaged=index in range(15, 20)) for index, one in enumerate(good(stream, codec))]

    monkeypatch.setattr(movies, "samples", with_holes)
    camera, contents = made.two_segments()
    monkeypatch.undo()
    other, more = made.two_segments("cam-2")
    path = tmp_path / "bundle-1.zip"
    await made.write(path, [camera, other], contents | more)
    verdict = verify(path)
    assert verdict.intact
    assert verdict.damaged_us == {"cam-1": 5 * 40_000}, "the first GOP is not in the range"
    told = CliRunner().invoke(verify_command, [str(path)])
    assert told.exit_code == 0
    assert "cam-1: 2 files, 0 gaps told, 0.2 s of pictures marked as damaged" in told.output
    assert "cam-2: 2 files, 0 gaps told\n" in told.output


async def test_made_up_footage_of_a_demo_is_told_by_verify_and_by_the_report(tmp_path: Path) -> None:
    camera, contents = made.two_segments(made="demo")
    statement, opening, fragments = made.segment("cam-1", made.START + made.SEGMENT_US, "")
    recorded, data = made.part(statement, opening, fragments)  # the first that a camera sent
    camera = camera.model_copy(update={"parts": (camera.parts[0], recorded)})
    other, more = made.two_segments("cam-2")
    path = tmp_path / "bundle-1.zip"
    await made.write(path, [camera, other], contents | more | {recorded.file: data})
    verdict = verify(path)
    assert verdict.intact
    assert +verdict.made_up == {"cam-1": 1}
    with zipfile.ZipFile(path) as archive:
        assert "No camera took these pictures at that time" in archive.read("report.html").decode()
    told = CliRunner().invoke(verify_command, [str(path), "--key", public_hex(made.KEY)])
    assert told.exit_code == 0
    assert "MADE UP  cam-1: 1 files" in told.output
    assert "MADE UP  cam-2" not in told.output
    assert "fragments are as they were signed, and not all were recorded" in told.output


@pytest.mark.parametrize("said", ["demo", ""])
async def test_a_statement_about_made_up_footage_that_its_file_does_not_bear_out_is_still_told(
    tmp_path: Path, said: str
) -> None:
    _, opening, fragments = made.segment("cam-1", made.START, "", made="" if said else "demo")
    statement = made.segment("cam-1", made.START, "", made="demo")[0].model_copy(
        update={"made": said, "opening": opening_link(opening), "links": tuple(part[-32:].hex() for part in fragments)}
    )
    part, data = made.part(statement, opening, fragments, first=1)
    camera = CameraEvidence(camera="cam-1", site="city", name="Jl. Ijen", parts=(part,), gaps=())
    path = tmp_path / "bundle-1.zip"
    await made.write(path, [camera], {part.file: data}, to_us=made.START + made.SEGMENT_US)
    verdict = verify(path)
    assert +verdict.made_up == {"cam-1": 1}
    assert [finding.what for finding in verdict.findings] == (
        ["its description does not say that it is made up, and its statement does"] if said else []
    )


def opening_link(opening: bytes) -> str:
    return link(b"", (opening,)).hex()


async def several(path: Path, *, second: bytes = b"") -> bytes:
    """A file of two owners' bundles, and a read-me; returns it. ``second`` stands in place of the second."""
    camera, contents = made.two_segments()
    bundle = await made.packed([camera], contents)
    bundles = {"city/bundle-1.zip": bundle, "mall--gate/bundle-2.zip": second or bundle}
    whole = await made.zipped(bundles, {"README.txt": b"two"})
    await asyncio.to_thread(path.write_bytes, whole)
    return whole


async def test_a_file_of_several_owners_bundles_is_checked_bundle_by_bundle(tmp_path: Path) -> None:
    path = tmp_path / "both.zip"
    await several(path)
    verdict = verify(path, trusted_keys=frozenset({public_hex(made.KEY)}))
    assert verdict.intact, verdict
    assert sum(each.fragments for _, each in verdict.each) == 10
    assert "taken out" in verdict.unknown[0]
    strange = frozenset({public_hex(made.OTHER_KEY)})
    assert [bool(each.findings) for _, each in verify(path, trusted_keys=strange).each] == [True, True]
    told = CliRunner().invoke(verify_command, [str(path)])
    assert told.exit_code == 0, told.output
    assert "file     mall--gate/bundle-2.zip" in told.output
    await several(path, second=b"no bundle")
    told = CliRunner().invoke(verify_command, [str(path)])
    assert told.exit_code == 1, told.output
    assert "altered: mall--gate/bundle-2.zip: the ZIP archive" in told.output


@pytest.mark.parametrize("name", ["../../bundle-1.zip", "bundle-1.zip", "/city/bundle-1.zip", "city/\x1b[2J.zip"])
async def test_a_bundle_that_would_be_unpacked_elsewhere_does_not_belong_to_a_file_of_several(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "both.zip"
    camera, contents = made.two_segments()
    bundle = await made.packed([camera], contents)
    whole = await made.zipped({"city/bundle-1.zip": bundle, name: bundle}, {"README.txt": b"two"})
    await asyncio.to_thread(path.write_bytes, whole)
    assert [(each.where, each.what) for each in verify(path).findings] == [(name, "does not belong to the file")]


async def test_a_changed_byte_of_several_bundles_is_found_and_they_hold_no_file_of_bundles(tmp_path: Path) -> None:
    path = tmp_path / "both.zip"
    whole = await several(path)
    for at in range(100, len(whole), len(whole) // 20):
        await asyncio.to_thread(path.write_bytes, whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with suppress(UnreadableError):
            assert not verify(path).intact, at
    await several(path, second=whole)
    assert not verify(path).intact
