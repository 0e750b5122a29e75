import msgpack
import pytest
from pydantic import ValidationError

from services.contracts.catalogue import CameraPatch, CameraUpdate
from services.contracts.incidents import IncidentPatch, IncidentUpdate


def test_only_what_was_given_goes_on_the_wire() -> None:
    update = CameraUpdate(id="one", patch=CameraPatch(name="Uno", retention=None))
    assert msgpack.unpackb(update.pack()) == {"id": "one", "patch": {"name": "Uno", "retention": None}}
    assert CameraUpdate.unpack(update.pack()) == update
    assert CameraUpdate.unpack(update.pack()).patch.given() == {"name": "Uno", "retention": None}


def test_what_was_left_out_is_not_given() -> None:
    update = IncidentUpdate.unpack(IncidentUpdate(id="i", patch=IncidentPatch(title="Flood"), revision=3).pack())
    assert update.patch.given() == {"title": "Flood"}
    assert update.revision == 3


@pytest.mark.parametrize("nullable", ["credentials", "retention"])
def test_null_where_it_means_something(nullable: str) -> None:
    assert CameraPatch.model_validate({nullable: None}).given() == {nullable: None}


@pytest.mark.parametrize("name", sorted(CameraPatch.model_fields.keys() - {"credentials", "retention"}))
def test_null_elsewhere_is_refused_with_a_hint(name: str) -> None:
    with pytest.raises(ValidationError, match=f"{name} cannot be null; leave it out to keep it"):
        CameraPatch.model_validate({name: None})
