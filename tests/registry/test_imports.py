"""To whom an import's file is sealed."""

from services.contracts.models import WorkerLease
from services.mesh.sealing import OpeningKey
from services.registry.imports import SEALS, public_keys


def test_a_lease_that_tells_no_usable_key_keeps_no_import_from_beginning() -> None:
    public = OpeningKey(bytes(range(32))).public
    told = ("", "no key", "c3", public.hex())
    leases = [
        WorkerLease(role="registry", worker=f"registry-{number}", incarnation=1, detail={SEALS: each})
        for number, each in enumerate(told)
    ]
    leases.append(WorkerLease(role="registry", worker="registry-old", incarnation=1))
    assert public_keys(leases) == {public}
