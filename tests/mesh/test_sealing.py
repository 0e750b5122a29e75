"""Boxes open for their owner alone, about what they are about, and key files survive their changes."""

import os
from pathlib import Path

import pytest

from services.mesh.sealing import OpeningKey, SealingError, drop_former_keys, load_keys, rotate_keys, seal


def test_a_box_opens_for_its_owner_alone_and_only_about_its_own_camera() -> None:
    mine, another = OpeningKey(os.urandom(32)), OpeningKey(os.urandom(32))
    box = seal(mine.public, b"hunter2", "cam-1")
    assert mine.open(box, "cam-1") == b"hunter2"
    assert mine.open(box, "cam-2") is None
    assert another.open(box, "cam-1") is None
    assert b"hunter2" not in box.encode()
    assert seal(mine.public, b"hunter2", "cam-1") != box


@pytest.mark.parametrize("box", ["", "AAAA", "not base64 at all", "A" * 120])
def test_what_is_no_box_opens_for_nobody(box: str) -> None:
    assert OpeningKey(os.urandom(32)).open(box, "cam-1") is None


def test_the_length_of_a_password_does_not_show() -> None:
    key = OpeningKey(os.urandom(32))
    assert len(seal(key.public, b"a", "cam-1")) == len(seal(key.public, b"a" * 40, "cam-1"))


def test_a_rotated_key_opens_what_was_sealed_before_until_it_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "ingest.key"
    first = load_keys(path).current
    box = seal(first.public, b"hunter2", "cam-1")
    keys = rotate_keys(path)
    assert keys.current.id != first.id
    assert load_keys(path).open([(first.id, box)], "cam-1") == b"hunter2"
    drop_former_keys(path)
    drop_former_keys(path)
    assert load_keys(path).open([(first.id, box)], "cam-1") is None
    assert path.stat().st_mode & 0o077 == 0
    assert [each.name for each in path.parent.iterdir()] == ["ingest.key"]


def test_a_key_that_is_rotated_again_before_anything_was_sealed_anew_still_opens(tmp_path: Path) -> None:
    path = tmp_path / "ingest.key"
    first = load_keys(path).current
    box = seal(first.public, b"hunter2", "cam-1")
    rotate_keys(path)
    keys = rotate_keys(path)
    assert keys.open([(first.id, box)], "cam-1") == b"hunter2"
    assert len(keys.keys) == 3


@pytest.mark.parametrize("text", ["", "{}", '{"keys": []}', '{"keys": ["AAAA"]}', '{"keys": ["?"]}'])
def test_a_damaged_key_file_is_refused_by_its_name_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ingest.key"
    path.write_text(text)
    with pytest.raises(SealingError, match=r"ingest\.key"):
        load_keys(path)
    assert path.read_text() == text
