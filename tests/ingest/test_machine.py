"""What workers of one machine share: no two have one name, and a folder that is this user's alone."""

from pathlib import Path

import pytest

from services.contracts.subjects import is_id
from services.ingest import machine
from services.ingest.machine import WorkerName
from services.mesh.settings import MeshSettings

MESH = MeshSettings(nats_url="nats://127.0.0.1:4333")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_the_second_worker_of_a_machine_has_another_name_and_the_first_ones_is_free_again_when_it_ends() -> None:
    first, second, third = (WorkerName(MESH, "ingest-host") for _ in range(3))
    assert [worker.name for worker in (first, second, third)] == ["ingest-host", "ingest-host-2", "ingest-host-3"]
    second.release()
    assert WorkerName(MESH, "ingest-host").name == "ingest-host-2"


def test_workers_of_different_meshes_do_not_mind_each_other() -> None:
    here, there = WorkerName(MESH, "ingest-host"), WorkerName(MeshSettings(nats_url="nats://else:1"), "ingest-host")
    assert here.name == there.name == "ingest-host"


def test_the_longest_name_is_still_an_id_with_a_number() -> None:
    names = [WorkerName(MESH, "i" * 63).name for _ in range(2)]
    assert names[0] != names[1]
    assert all(is_id(name) for name in names)


def test_a_folder_that_others_may_enter_is_not_used_and_the_name_is_taken_as_it_is() -> None:
    machine.folder().chmod(0o755)
    with pytest.raises(PermissionError, match="this user alone"):
        machine.folder()
    assert WorkerName(MESH, "ingest-host").name == "ingest-host"
