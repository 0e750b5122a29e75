"""Applies changes to cameras. Pure: the camera before and the given fields in, the camera after out."""

from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from services.contracts.catalogue import CameraInput, CameraPatch, id_from_name
from services.contracts.errors import ForbiddenError, InvalidInputError
from services.contracts.models import Camera, Credentials, Id, Profile, ProfileName
from services.contracts.redact import MASK, redact
from services.mesh.rpc import explain


class CameraChange(NamedTuple):
    """The camera after a change."""

    camera: Camera
    credentials: Credentials | None
    fields: tuple[str, ...]
    """Names of the fields that differ; ``credentials`` stands for both of theirs. Empty: nothing to write."""


def masked(camera: Camera) -> Camera:
    """``camera`` as it is shown: without the passwords that stand in paths and queries of its URLs."""
    shown = {name: redact(profile.url) for name, profile in camera.profiles.items()}
    if all(shown[name] == profile.url for name, profile in camera.profiles.items()):
        return camera
    profiles = {name: profile.model_copy(update={"url": shown[name]}) for name, profile in camera.profiles.items()}
    return camera.model_copy(update={"profiles": profiles})


def _unmasked(profiles: dict[ProfileName, Profile], before: Camera | None) -> dict[ProfileName, Profile]:
    """Given profiles with the URLs that were shown `masked` put back; raises `InvalidInputError` for other masks."""
    found = dict(profiles)
    for name, profile in profiles.items():
        if f"={MASK}" not in profile.url:
            continue
        known = [other.url for other in before.profiles.values() if redact(other.url) == profile.url] if before else []
        same = before.profiles.get(name) if before else None
        if same is not None and redact(same.url) == profile.url:
            known = [same.url]
        if len(known) != 1:
            raise InvalidInputError(f"profiles.{name}.url has {MASK} where a password was: give the whole address")
        found[name] = profile.model_copy(update={"url": known[0]})
    return found


def require_own(camera: Camera) -> None:
    """Raises `ForbiddenError` for a camera of a joined site."""
    if camera.owner_id is not None:
        raise ForbiddenError(f"{camera.id} belongs to {camera.site}: only its owner changes it")


RESERVED_IDS: Final = frozenset({"import"})
"""``/api/v1/cameras/import`` is no camera's path."""


def added(given: CameraInput, home: Id) -> CameraChange:
    """A new camera; raises `InvalidInputError` where no id can be made of its name."""
    camera_id = given.id or id_from_name(given.name)
    if not camera_id:
        raise InvalidInputError(f"no id can be made of the name {given.name!r}: give an id ([a-z0-9-], at most 63)")
    if camera_id in RESERVED_IDS:
        raise InvalidInputError(f"id: {camera_id!r} is a path of the API below /cameras; give another id")
    values = {name: getattr(given, name) for name in type(given).model_fields if name != "credentials"}
    values["profiles"] = _unmasked(given.profiles, None)
    camera = Camera.model_validate(
        values | {"id": camera_id, "site": given.site or home, "has_credentials": given.credentials is not None}
    )
    return CameraChange(camera, given.credentials, ())


def patched(camera: Camera, credentials: Credentials | None, patch: CameraPatch) -> CameraChange:
    """``camera`` with ``patch`` applied; raises `ForbiddenError` where its owner is another."""
    require_own(camera)
    given = patch.given()
    if patch.profiles is not None:
        given["profiles"] = _unmasked(patch.profiles, camera)
    after = given.pop("credentials", credentials)
    changed = Camera.model_validate(dict(camera) | given | {"has_credentials": after is not None})
    fields = [name for name in type(camera).model_fields if getattr(camera, name) != getattr(changed, name)]
    if after != credentials:
        fields.append("credentials")
    return CameraChange(changed, after, tuple(name for name in fields if name != "has_credentials"))


def completed(given: dict[str, Any], camera: Camera | None, credentials: Credentials | None) -> dict[str, Any]:
    """The fields of an import row; partial objects are completed from the known camera. A null profile is removed."""
    full = dict(given)
    if isinstance(full.get("location"), dict) and camera is not None:
        full["location"] = camera.location.model_dump() | full["location"]
    if isinstance(full.get("profiles"), dict):
        known = {name: profile.model_dump() for name, profile in camera.profiles.items()} if camera else {}
        profiles = known | {
            name: known.get(name, {}) | profile if isinstance(profile, dict) else profile
            for name, profile in full["profiles"].items()
        }
        full["profiles"] = {name: profile for name, profile in profiles.items() if profile is not None}
    user = full.get("credentials")
    if isinstance(user, dict) and "password" not in user:
        same = credentials is not None and credentials.is_user(str(user.get("username")))
        full["credentials"] = credentials if same else user | {"password": ""}
    return full


def from_row(
    camera_id: str, given: dict[str, Any], before: Camera | None, user: Credentials | None, home: Id
) -> CameraChange:
    """The change that an import row asks for; raises `InvalidInputError`."""
    full = completed(given, before, user)
    try:
        if before is None:
            return added(CameraInput.model_validate({"name": camera_id} | full | {"id": camera_id}), home)
        return patched(before, user, CameraPatch.model_validate(full))
    except ValidationError as error:
        raise InvalidInputError(explain(error)) from error
