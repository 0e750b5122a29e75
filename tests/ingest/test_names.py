"""Names that no two processes of a machine have, in a folder that is this user's alone."""

import os
from pathlib import Path

import pytest

from services.contracts.subjects import is_id
from services.ingest import names
from services.ingest.names import HeldName, Name, NoFolderError
from services.mesh.settings import MeshSettings

MESH = MeshSettings(nats_url="nats://127.0.0.1:4333")
HOST = Name(MESH, "parent", "ingest-host")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_a_name_has_one_holder_at_a_time() -> None:
    assert HOST.holder() is None
    held = HeldName.take(HOST)
    assert held is not None
    assert HeldName.take(HOST) is None
    holder = HOST.holder()
    assert holder is not None
    assert (holder.pid, holder.ready) == (os.getpid(), False)
    held.beat(ready=True)
    later = HOST.holder()
    assert later is not None
    assert later.ready
    assert later.beat != holder.beat
    held.release()
    assert HOST.holder() is None


def test_the_second_process_of_a_machine_has_another_name_and_the_first_ones_is_free_again_when_it_ends() -> None:
    first, second, third = (HeldName.take_next(HOST) for _ in range(3))
    assert [held.name for held in (first, second, third)] == ["ingest-host", "ingest-host-2", "ingest-host-3"]
    second.release()
    assert HeldName.take_next(HOST).name == "ingest-host-2"


def test_workers_and_parents_and_other_meshes_do_not_mind_each_other() -> None:
    other = MeshSettings(nats_url="nats://else:1")
    for name in (HOST, Name(MESH, "worker", "ingest-host"), Name(other, "parent", "ingest-host")):
        assert HeldName.take(name) is not None


def test_the_longest_name_is_still_an_id_with_a_number() -> None:
    taken = [HeldName.take_next(Name(MESH, "parent", "i" * 63)).name for _ in range(2)]
    assert taken[0] != taken[1]
    assert all(is_id(name) for name in taken)


def test_a_folder_that_others_may_enter_is_refused() -> None:
    names.folder().chmod(0o755)
    with pytest.raises(NoFolderError, match="this user alone"):
        HeldName.take(HOST)
