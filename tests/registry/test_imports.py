"""To whom an import's file is sealed."""

from pathlib import Path

from services.contracts.models import WorkerLease
from services.mesh.sealing import OpeningKey
from services.registry.imports import SEALS, own_keys, public_keys


def test_a_lease_that_tells_no_usable_key_keeps_no_import_from_beginning() -> None:
    public = OpeningKey(bytes(range(32))).public
    told = ("", "no key", "c3", public.hex())
    leases = [
        WorkerLease(role="registry", worker=f"registry-{number}", incarnation=1, detail={SEALS: each})
        for number, each in enumerate(told)
    ]
    leases.append(WorkerLease(role="registry", worker="registry-old", incarnation=1))
    assert public_keys(leases) == {public}


def test_a_registry_whose_data_folder_cannot_be_written_has_a_key_of_its_process(tmp_path: Path) -> None:
    kept = tmp_path / "data" / "imports.key"
    assert own_keys(kept).current.id == own_keys(kept).current.id
    no_folder = tmp_path / "file"
    no_folder.write_text("")
    assert own_keys(no_folder / "imports.key").current.id != own_keys(no_folder / "imports.key").current.id
    kept.write_text("no keys")
    assert own_keys(kept).current.private
