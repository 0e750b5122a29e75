"""What a change makes of a camera."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.contracts.catalogue import CameraInput, CameraPatch, CameraUpdate, ImportRequest, id_from_name
from services.contracts.errors import InvalidInputError
from services.contracts.models import Camera, Credentials
from services.contracts.subjects import is_id
from services.registry.changes import added, from_row, masked, patched
from services.registry.rows import COLUMNS, parse
from tests.registry.test_rows import json_values

SECRET = Credentials(username="admin", password="hunter2")


def camera(**more: object) -> Camera:
    return Camera.model_validate(
        {
            "id": "a",
            "site": "city",
            "name": "A",
            "location": {"latitude": 1.0, "longitude": 2.0, "address": "x"},
            "profiles": {"main": {"url": "rtsp://h/1", "transport": "udp"}, "sub": {"url": "rtsp://h/2"}},
            "has_credentials": True,
            "retention": "full 10d",
        }
        | more
    )


def test_a_camera_belongs_to_the_home_site_unless_it_says_otherwise() -> None:
    given_ = {"name": "Alun-Alun Tugu", "profiles": {"main": "rtsp://u:p@h/1", "sub": {"url": "rtsp://u:p@h/2"}}}
    change = added(CameraInput.model_validate(given_), "city")
    assert (change.camera.id, change.camera.site) == ("alun-alun-tugu", "city")
    assert change.credentials == Credentials(username="u", password="p")
    assert change.camera.has_credentials
    assert "@" not in change.camera.model_dump_json()
    assert added(CameraInput.model_validate(given_ | {"site": "mall"}), "city").camera.site == "mall"


def test_two_users_in_the_urls_are_refused_and_the_refusal_keeps_their_secrets() -> None:
    with pytest.raises(ValueError, match="different users") as refusal:
        CameraInput.model_validate({"name": "A", "profiles": {"main": "rtsp://u:hunter2@h/1", "sub": "rtsp://v:w@h/2"}})
    assert "hunter2" not in str(refusal.value)
    with pytest.raises(ValueError, match="source URL") as refusal:
        CameraInput.model_validate({"name": "A", "profiles": {"main": "gopher://u:hunter2@h/1"}})
    assert "hunter2" not in str(refusal.value)


def test_a_name_without_letters_needs_an_id() -> None:
    with pytest.raises(InvalidInputError, match="give an id"):
        added(CameraInput.model_validate({"name": "摄像头", "profiles": {"main": "rtsp://h/1"}}), "city")


@pytest.mark.parametrize("named", [{"id": "import"}, {"name": "Import"}])
def test_an_id_that_is_a_path_of_the_api_is_refused(named: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError, match="another id"):
        added(CameraInput.model_validate({"name": "A", "profiles": {"main": "rtsp://h/1"}} | named), "city")


@given(st.text(max_size=200))
def test_an_id_made_of_a_name_is_an_id(name: str) -> None:
    made = id_from_name(name)
    assert made == "" or is_id(made)


def test_a_patch_changes_what_it_gives_and_says_which() -> None:
    change = patched(camera(), SECRET, CameraPatch.model_validate({"name": "B", "enabled": False, "record": True}))
    assert change.fields == ("name", "enabled")
    assert change.credentials == SECRET
    replaced = patched(camera(), SECRET, CameraPatch.model_validate({"profiles": {"main": {"url": "rtsp://h/9"}}}))
    assert set(replaced.camera.profiles) == {"main"}


def test_null_forgets_credentials_and_retention_and_is_refused_elsewhere() -> None:
    change = patched(camera(), SECRET, CameraPatch.model_validate({"credentials": None, "retention": None}))
    assert change.fields == ("retention", "credentials")
    assert not change.camera.has_credentials
    assert change.camera.retention is None
    with pytest.raises(ValueError, match="name cannot be null"):
        CameraPatch.model_validate({"name": None})


def test_what_a_patch_does_not_give_survives_the_wire() -> None:
    patch = CameraPatch.model_validate({"credentials": None, "tags": ["x"]})
    assert CameraPatch.unpack(patch.pack()).given() == {"credentials": None, "tags": ("x",)}
    update = CameraUpdate.unpack(CameraUpdate(id="a", patch=patch, revision=7).pack())
    assert (update.patch.given(), update.revision) == (patch.given(), 7)


def test_an_imported_row_completes_what_is_known() -> None:
    row = parse("csv", "id,main_url,latitude,username\na,rtsp://h/9,-7.5,admin\n").rows[0]
    change = from_row("a", row.given, camera(), SECRET, "city")
    assert change.fields == ("location", "profiles")
    assert change.camera.location.latitude == -7.5
    assert change.camera.location.address == "x"
    assert change.camera.profiles["main"].transport == "udp"
    assert change.camera.profiles["sub"].url == "rtsp://h/2"
    assert change.credentials == SECRET, "a list without passwords made a camera forget its own"
    other = from_row("a", {"credentials": {"username": "root"}}, camera(), SECRET, "city")
    assert other.credentials == Credentials(username="root", password="")
    without_sub = from_row("a", {"profiles": {"sub": None}}, camera(), SECRET, "city")
    assert set(without_sub.camera.profiles) == {"main"}


def test_what_is_listed_can_be_imported_again_and_changes_nothing() -> None:
    row = parse("json", json.dumps({"cameras": [camera().model_dump(mode="json") | {"state": None}]})).rows[0]
    assert from_row(row.id, row.given, camera(), SECRET, "city").fields == ()


@given(st.dictionaries(st.sampled_from([*COLUMNS, "profiles", "location", "credentials"]), json_values), st.booleans())
def test_no_row_is_more_than_refused(entry: dict[str, object], known: bool) -> None:
    # passes if nothing raises
    (row,) = parse("json", json.dumps([entry])).rows
    if row.problem:
        return
    try:
        from_row(row.id, row.given, camera() if known else None, SECRET if known else None, "city")
    except InvalidInputError:
        return


def test_an_import_reads_what_spreadsheets_save() -> None:
    assert ImportRequest.of("\ufeffname".encode(), "text/csv; charset=utf-8").content == "name"
    assert ImportRequest.of("Jl. Café".encode("cp1252"), "text/csv").content == "Jl. Café"
    assert ImportRequest.of("Jl. Café".encode("utf-16"), "text/csv").content == "Jl. Café"
    assert ImportRequest.of(b"[]", "application/json").format == "json"
    with pytest.raises(InvalidInputError, match="UTF-8"):
        ImportRequest.of(b"\xff", "application/json")
    with pytest.raises(InvalidInputError, match="at most"):
        ImportRequest.of(b"x" * (4 * 1024 * 1024 + 1), "text/csv")


@pytest.mark.parametrize("ladder", ["ten days", "full 10d, keyframes 5d every 10s", "keyframes 10d every 1s"])
def test_a_retention_ladder_that_no_recorder_could_follow_is_refused_with_what_would_do(ladder: str) -> None:
    with pytest.raises(ValidationError, match=r"retention(?s:.)*ladder|longer than full"):
        CameraPatch.model_validate({"retention": ladder})
    with pytest.raises(ValidationError, match="retention"):
        CameraInput.model_validate({"name": "a", "profiles": {"main": "rtsp://a/1"}, "retention": ladder})


SECRET_URL = "http://10.0.0.5/v.cgi?user=a&pwd=s3cret"


def test_a_password_in_a_query_is_not_shown_and_is_kept_when_what_was_shown_comes_back() -> None:
    camera = added(
        CameraInput.model_validate({"name": "Gate", "profiles": {"main": {"url": SECRET_URL}}}), "city"
    ).camera
    shown = masked(camera)
    assert shown.profiles["main"].url == "http://10.0.0.5/v.cgi?user=a&pwd=***"
    patch = CameraPatch.model_validate({"profiles": {"main": {"url": shown.profiles["main"].url, "transport": "udp"}}})
    change = patched(camera, None, patch)
    assert change.camera.profiles["main"].url == SECRET_URL
    assert change.camera.profiles["main"].transport == "udp"
    other = CameraPatch.model_validate({"profiles": {"main": {"url": "http://10.0.0.6/v.cgi?user=a&pwd=***"}}})
    with pytest.raises(InvalidInputError, match="whole address"):
        patched(camera, None, other)


@pytest.mark.parametrize("url", ["rtsp://h:0/1", "rtsp://h:99999/1", "rtsp://h:x/1", "rtsp://a camera/1"])
def test_an_address_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        CameraInput.model_validate({"name": "Gate", "profiles": {"main": {"url": url}}})
