"""An attempt at an export's file."""

from pathlib import Path

import pytest

from services.contracts.errors import PantauError, UnavailableError
from services.contracts.exports import ExportedCamera, ExportJob, ExportKind
from services.contracts.permissions import Role
from services.footage.owners import NotGrantedError, Owner
from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from services.wall.exports.making import SETTLE_FOR_LESS, ExportOrder, make


@pytest.mark.parametrize("kind", ["clip", "bundle"])
@pytest.mark.parametrize(("attempts", "error"), [(1, UnavailableError), (SETTLE_FOR_LESS, NotGrantedError)])
async def test_an_export_that_its_owner_does_not_answer_for_is_tried_again_until_the_site_would_be_away(
    mesh_settings: MeshSettings,
    bus: Bus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: ExportKind,
    attempts: int,
    error: type[PantauError],
) -> None:
    """nats-server says the same of a site that has granted nothing and of one whose line was cut just now."""

    async def nobody(*_arguments: object, **_named: object) -> None:
        raise NotGrantedError("mall does not let this mesh have it, or its line was cut just now")

    monkeypatch.setattr(Owner, "ask_for_all", nobody)
    job = ExportJob(
        id="x", kind=kind, cameras=(ExportedCamera(camera="mall--gate", site="mall", name="Gate", owner_id="gate"),),
        from_us=0, to_us=1, actor="siti", role=Role.OPERATOR, created_us=0, expires_us=1, attempts=attempts,
        reason="x",
    )  # fmt: skip
    order = ExportOrder.of(
        job, mesh_settings, folder=tmp_path, part=tmp_path / "part", budget_bytes=10**9, floor_bytes=0
    )
    with pytest.raises(error) as found:
        await make(order, lambda _report: None)
    assert type(found.value) is error
