"""The recorder's key can be kept, restored, changed and lost, and what an older one signed stays this recorder's."""

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from services.cli.recorder_key import recorder_key
from services.contracts.evidence.exchange import ALTERED
from services.recorder.storage.fsck import FsckKind, check
from services.recorder.storage.identity import lock
from services.recorder.storage.key import KEY_FILE, KEYS_FILE, PUBLIC_FILE, load_key, read_key, read_keys
from tests.recorder.reading.test_evidence import answer
from tests.recorder.rig import SIGNER, Rig
from tests.recorder.units import pictures


def pantau(command: str, *arguments: object, data: Path, more: Path | None = None) -> Result:
    directories = ["--data", str(data), *(["--data", str(more)] if more else [])]
    return CliRunner().invoke(recorder_key, [command, *map(str, arguments), *directories])


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A directory with its own key, and footage that this key has signed."""
    signer = load_key(tmp_path)
    with Rig(tmp_path, signer=signer) as rig:
        rig.feed(pictures(count=25 * 10))
        rig.settle()
    return tmp_path


def public(directory: Path) -> str:
    signer = read_key(directory)
    assert signer is not None
    assert signer.public == (directory / PUBLIC_FILE).read_text().strip()
    assert stat.S_IMODE((directory / KEY_FILE).stat().st_mode) == 0o600
    return signer.public


def handed_out(directory: Path) -> list[str]:
    """The keys of the parts that evidence consists of, after a restart."""
    with Rig(directory, signer=load_key(directory)) as rig:
        found = answer(rig)
    assert not [gap for gap in found.gaps if gap.cause == ALTERED]
    assert check(directory, verify=True).findings == ()
    return [begins.public for begins in found.begins]


def test_a_key_is_backed_up_and_restored(recorded: Path, tmp_path: Path) -> None:
    before = public(recorded)
    kept = tmp_path / "kept.pem"
    assert pantau("backup", kept, data=recorded).exit_code == 0
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    again = pantau("backup", kept, data=recorded)
    assert (again.exit_code, "exists" in again.output) == (1, True)
    (recorded / KEY_FILE).unlink()
    assert pantau("restore", kept, data=recorded).exit_code == 0
    assert public(recorded) == before
    assert handed_out(recorded) == [before]
    kept.write_text("damaged")
    assert pantau("restore", kept, data=recorded).exit_code == 1
    assert public(recorded) == before


def test_after_a_rotation_old_footage_is_still_handed_out(recorded: Path, tmp_path: Path) -> None:
    before = public(recorded)
    second = tmp_path / "second"
    second.mkdir()
    assert pantau("rotate", data=recorded, more=second).exit_code == 0
    after = public(recorded)
    assert after != before
    assert read_keys(recorded) == read_keys(second) == {before, after}
    assert handed_out(recorded) == [before]
    shown = pantau("show", data=recorded).output.splitlines()
    assert shown == [after, f"{before} (before)"]


@pytest.mark.parametrize("damaged", [False, True])
def test_a_lost_key_is_replaced_and_old_footage_is_still_handed_out(recorded: Path, damaged: bool) -> None:
    before = public(recorded)
    refused = pantau("lost", data=recorded)
    assert (refused.exit_code, "not lost" in refused.output) == (1, True)
    if damaged:
        (recorded / KEY_FILE).write_text("damaged")
    else:
        (recorded / KEY_FILE).unlink()
        assert pantau("backup", recorded / "kept", data=recorded).exit_code == 1
        assert pantau("rotate", data=recorded).exit_code == 1
    assert pantau("lost", data=recorded).exit_code == 0
    assert public(recorded) != before
    assert (recorded / f"{KEY_FILE}.unusable").exists() is damaged
    assert handed_out(recorded) == [before]


def test_a_key_that_is_made_at_a_start_remembers_the_one_before(recorded: Path) -> None:
    before = public(recorded)
    (recorded / KEY_FILE).unlink()
    (recorded / KEYS_FILE).unlink()
    made = load_key(recorded)
    assert made is not None
    assert read_keys(recorded) == {before, made.public}


def test_footage_of_a_key_that_nobody_remembers_is_altered_until_it_is_trusted(recorded: Path) -> None:
    before = public(recorded)
    for name in (KEY_FILE, KEYS_FILE, PUBLIC_FILE):
        (recorded / name).unlink()
    signer = load_key(recorded)
    with Rig(recorded, signer=signer) as rig:
        found = answer(rig)
    assert [gap.cause for gap in found.gaps] == [ALTERED]
    assert [finding.kind for finding in check(recorded).findings] == [FsckKind.BAD_SIGNATURE]
    assert pantau("trust", "nonsense", data=recorded).exit_code == 2
    assert pantau("trust", before.upper(), data=recorded).exit_code == 0
    assert handed_out(recorded) == [before]


def test_the_key_of_a_running_recorder_is_not_changed(recorded: Path, tmp_path: Path) -> None:
    import os

    before = public(recorded)
    kept = tmp_path / "kept.pem"
    assert pantau("backup", kept, data=recorded).exit_code == 0  # this changes nothing
    fd = lock(recorded)
    try:
        for command in (("rotate",), ("lost",), ("restore", kept)):
            assert pantau(*command, data=recorded).exit_code != 0
    finally:
        os.close(fd)
    assert public(recorded) == before
    assert SIGNER.public != before
