"""Ids, wire models, permissions and errors: what everybody relies on."""

from typing import Annotated, Any, Optional

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.contracts import subjects
from services.contracts.errors import (
    BadOfferError,
    ForbiddenError,
    NotFoundError,
    PantauError,
    UnavailableError,
    error_from_code,
)
from services.contracts.models import Camera, Credentials, Location, Profile, takes_several
from services.contracts.permissions import SYSTEM, Actor, Role
from services.contracts.subjects import is_id


@pytest.mark.parametrize("text", ["a", "cam-1", "0", "a" * 63, "simpang-4-utara"])
def test_ids_that_are(text: str) -> None:
    assert is_id(text)


@pytest.mark.parametrize("text", ["", "-a", "A", "a.b", "a b", "a/b", "a*", ">", "a\n", "é", "a" * 64, "..", "a_b"])
def test_ids_that_are_not(text: str) -> None:
    assert not is_id(text)
    with pytest.raises(ValidationError):
        Camera(id=text, site="city", name="x", profiles={"main": Profile(url="rtsp://h/")})


@given(st.from_regex(subjects.ID_PATTERN, fullmatch=True))
def test_an_id_is_one_token_of_a_subject_and_one_part_of_a_path(text: str) -> None:
    assert len(subjects.media("city", "main", text).split(".")) == 6
    assert "/" not in text


def test_subjects_stand_as_they_were_promised() -> None:
    assert subjects.media("malang", "main", "cam-1") == "pantau.v1.malang.media.main.cam-1"
    assert subjects.event("malang", "camera", "offline", "cam-1") == "pantau.v1.malang.camera.offline.cam-1"
    assert subjects.rpc("city", "registry", "cameras-list") == "pantau.v1.city.rpc.registry.cameras-list"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "rtsp://", "rtsp://u:p@h/", "concat:a|b", "h/x"])
def test_a_source_that_is_no_source_or_carries_credentials_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        Profile(url=url)


def test_a_password_stands_in_no_representation() -> None:
    assert "hunter2" not in repr(Credentials(username="operator", password="hunter2"))


def test_an_older_reader_understands_a_newer_writer() -> None:
    camera = Camera(id="cam-1", site="city", name="x", profiles={"main": Profile(url="rtsp://h/")})
    newer = msgpack.packb({**camera.model_dump(mode="json"), "colour": "grey"})
    assert Camera.unpack(newer) == camera


@pytest.mark.parametrize(
    ("site", "tag", "text", "matches"),
    [
        (None, None, "", True),
        ("city", "simpang", "BASUKI", True),
        ("mall", None, "", False),
        (None, "pasar", "", False),
        (None, None, "utara", True),  # the id
        (None, None, "impan", True),  # a tag
        (None, None, "veteran", False),
    ],
)
def test_a_camera_is_found_by_all_filters_together(site: str | None, tag: str | None, text: str, matches: bool) -> None:
    location = Location(address="Jl. Basuki Rahmat")
    profiles = {"main": Profile(url="rtsp://h/")}
    camera = Camera(id="cam-utara", site="city", name="Alun", location=location, tags=("simpang",), profiles=profiles)
    assert camera.matches(site=site, tag=tag, text=text) is matches


def test_roles_hold_what_they_are_granted_and_no_more() -> None:
    granted = {role: {need for need in Role if Actor("x", role).may(need)} for role in Role}
    assert granted[Role.VIEWER] == {Role.VIEWER}
    assert granted[Role.AGENCY] == {Role.AGENCY}, "a partner sees what it is granted, and nothing else"
    assert granted[Role.SUPERVISOR] == {Role.VIEWER, Role.OPERATOR, Role.SUPERVISOR}
    assert granted[Role.ADMIN] == set(Role)
    with pytest.raises(ForbiddenError, match="'admin'"):
        Actor("siti", Role.SUPERVISOR).require(Role.ADMIN)
    SYSTEM.require(Role.ADMIN)


class OverfullError(UnavailableError):
    """One service's own, with more to it than a message."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(message)
        self.where = where


class OwnCodeError(OverfullError):
    """The same, with a code of its own."""

    code = "own-code"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("internal", PantauError),
        ("not-found", NotFoundError),
        ("bad-offer", BadOfferError),
        (OverfullError.code, UnavailableError),
        (OwnCodeError.code, UnavailableError),
        ("from-a-later-version", UnavailableError),
    ],
)
def test_an_error_is_itself_again_at_the_other_end(code: str, error: type[PantauError]) -> None:
    there = error_from_code(code, "gone")
    assert type(there) is error
    assert there.message == "gone"


def test_a_catalogue_of_before_may_call_libav_pyav() -> None:
    assert Profile.model_validate({"url": "rtsp://h/1", "reader": "pyav"}).reader == "libav"
    assert Profile(url="rtsp://h/1").reader == "auto"
    assert Profile(url="rtsp://h/1").transport == "auto"


@pytest.mark.parametrize(
    ("annotation", "several"),
    [
        (list[str], True),
        (tuple[int, ...], True),
        (list, True),
        (Optional[list[str]], True),  # noqa: UP045 (the old spelling is another type at run time)
        (list[str] | None, True),
        (Annotated[tuple[str, ...], "described"], True),
        (Annotated[list[str], "described"] | None, True),
        (str, False),
        (str | None, False),
        (dict[str, list[str]], False),
    ],
)
def test_a_field_takes_several_values_where_its_type_is_a_list_or_may_be_one(annotation: Any, several: bool) -> None:
    assert takes_several(annotation) is several


def test_only_a_joined_sites_camera_has_no_address() -> None:
    mirrored = {"id": "mall--gate", "site": "mall", "name": "Gate", "profiles": {"main": {"url": ""}}}
    assert Camera.model_validate(mirrored | {"owner_id": "gate"}).bus_id == "gate"
    with pytest.raises(ValidationError):
        Camera.model_validate(mirrored)
