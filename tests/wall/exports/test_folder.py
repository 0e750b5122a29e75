"""The exports folder: one process has it, its name stays, and what belongs to no job goes."""

from pathlib import Path

import pytest

from services.wall.exports.folder import ExportFolder, used_bytes


def taken(data: Path) -> ExportFolder:
    folder = ExportFolder.take(data)
    assert folder is not None
    return folder


def test_one_process_has_it_and_the_next_one_is_the_same_maker(tmp_path: Path) -> None:
    first = taken(tmp_path)
    assert ExportFolder.take(tmp_path) is None
    first.close()
    again = taken(tmp_path)
    assert again.name == first.name
    again.close()
    elsewhere = taken(tmp_path / "other")
    assert elsewhere.name != first.name
    elsewhere.close()


def test_a_folder_that_cannot_be_made_is_an_error_and_no_half_lock(tmp_path: Path) -> None:
    (tmp_path / "exports").write_text("a file")
    with pytest.raises(FileExistsError):
        ExportFolder.take(tmp_path)


def test_only_files_of_jobs_that_are_known_and_parts_that_grow_are_left(tmp_path: Path) -> None:
    folder = taken(tmp_path)
    for name in ("export-1", "export-2", "export-3"):
        folder.part(name).mkdir()
        (folder.part(name) / "clip.mp4").write_bytes(b"12345")
    folder.keep(folder.part("export-1") / "clip.mp4", "export-1")
    assert folder.find("export-1") == folder.file("export-1", ".mp4")
    folder.file("export-9", ".zip").write_bytes(b"of a job that nobody knows")
    (folder.path / "notes.txt").write_text("not ours")
    folder.sweep({"export-1", "export-2"}, {"export-2"})
    names = {path.name for path in folder.path.iterdir()}
    assert names == {"maker", "exports.lock", "export-1.mp4", "export-2.part", "notes.txt"}
    folder.drop("export-1")
    folder.drop("export-2")
    assert folder.find("export-1") is None
    assert used_bytes(folder.path) == len("not ours") + len(folder.name) + 1
    folder.close()
