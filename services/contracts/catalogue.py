"""Questions to the registry about the catalogue, from the front and, through it, from the command line.

Credentials go in and never come out: no reply here has a field for them.
"""

import codecs
import re
import unicodedata
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from services.contracts.errors import InvalidInputError
from services.contracts.ladder import parse_ladder
from services.contracts.models import (
    Camera,
    CameraState,
    Credentials,
    Id,
    Location,
    Model,
    PrivacyMasks,
    Profile,
    ProfileName,
)
from services.contracts.patch import Partial, Patch
from services.contracts.permissions import Role
from services.contracts.redact import split_credentials
from services.contracts.source_urls import url_trouble

MAX_IMPORT_BYTES: Final = 4 * 1024 * 1024
"""About ten thousand rows."""


def id_from_name(name: str) -> str:
    """An id made of ``name``: ``Simpang Kayutangan 2`` → ``simpang-kayutangan-2``; empty if nothing can be kept."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:63].rstrip("-")


def take_credentials(data: Any) -> Any:
    """``data`` of a camera with the user parts of its URLs moved into ``credentials``.

    A profile may be given as its URL alone. Raises ``ValueError`` where the URLs name two different users.
    """
    if not isinstance(data, dict) or not isinstance(data.get("profiles"), dict):
        return data
    found: set[tuple[str, str]] = set()
    profiles: dict[Any, Any] = {}
    for name, given in data["profiles"].items():
        profile = {"url": given} if isinstance(given, str) else given
        if isinstance(profile, dict) and isinstance(profile.get("url"), str):
            url, username, password = split_credentials(profile["url"].strip())
            profile = {**profile, "url": url}
            if username is not None:
                found.add((username, password or ""))
        profiles[name] = profile
    data = {**data, "profiles": profiles}
    if not found or data.get("credentials") is not None:
        return data
    if len(found) > 1:
        raise ValueError("the URLs name different users; a camera has one: give it as 'credentials'")
    username, password = found.pop()
    return {**data, "credentials": {"username": username, "password": password or ""}}


def _ladder(text: str) -> str:
    parse_ladder(text)
    return text


Retention = Annotated[str, AfterValidator(_ladder)]
"""A retention ladder, as in ``full 10d, keyframes 60d every 10s``."""


class NamesSources(Model):
    """Base of what names sources: a user in a URL is split off, and URLs that may not be opened are refused."""

    model_config = ConfigDict(hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _take_credentials(cls, data: Any) -> Any:
        return take_credentials(data)

    @field_validator("profiles", check_fields=False)
    @classmethod
    def _harmless(cls, profiles: dict[ProfileName, Profile] | None) -> dict[ProfileName, Profile] | None:
        for name, profile in (profiles or {}).items():
            if trouble := url_trouble(profile.url) if profile.url else "give the address of the stream":
                raise ValueError(f"{name}: {trouble}")
        return profiles


class CameraInput(NamesSources):
    """A camera to be added. URLs may carry ``user:password@``: it is split off into ``credentials``."""

    id: Id | None = None
    """Without it the id is made of the name."""
    site: Id | None = None
    """Without it the mesh's own site."""
    name: str = Field(min_length=1, max_length=120)
    enabled: bool = True
    record: bool = True
    audio: bool = False
    location: Location = Location()
    tags: tuple[str, ...] = ()
    profiles: dict[ProfileName, Profile] = Field(min_length=1)
    credentials: Credentials | None = None
    copies: int = Field(default=1, ge=1, le=2)
    priority: int = Field(default=5, ge=0, le=9)
    pin: str = Field(default="", max_length=63)
    retention: Retention | None = None
    privacy_masks: PrivacyMasks = ()
    unmasked_roles: tuple[Role, ...] = ()


class CameraPatch(NamesSources, Patch):
    """The fields of a camera that change. ``location`` and ``profiles`` are replaced whole.

    ``credentials: null`` forgets them, ``retention: null`` goes back to the default; no other field takes null.
    """

    nullable = frozenset({"credentials", "retention"})

    site: Id | None = None
    name: str | None = Field(default=None, min_length=1, max_length=120)
    enabled: bool | None = None
    record: bool | None = None
    audio: bool | None = None
    location: Location | None = None
    tags: tuple[str, ...] | None = None
    profiles: dict[ProfileName, Profile] | None = Field(default=None, min_length=1)
    credentials: Credentials | None = None
    copies: int | None = Field(default=None, ge=1, le=2)
    priority: int | None = Field(default=None, ge=0, le=9)
    pin: str | None = Field(default=None, max_length=63)
    retention: Retention | None = None
    privacy_masks: PrivacyMasks | None = None
    unmasked_roles: tuple[Role, ...] | None = None


class CameraQuery(Model):
    """Which cameras: they match all filters. The answer is ordered by id, ``limit`` at a time."""

    site: Id | None = None
    tag: str | None = None
    text: str = ""
    """A text in the id, the name, the address or a tag; case is ignored."""
    after: Id | None = None
    """Continue after this id: `CameraList.next`."""
    limit: int = Field(default=5000, ge=1, le=5000)


class CameraKey(Model):
    """One camera."""

    id: Id


class CameraEntry(Model):
    """A camera of the catalogue with its observed state."""

    camera: Camera
    revision: int
    """Send it with a change: the change is refused if another one came first."""
    state: CameraState | None = None


class CameraList(Model):
    """An answer to `CameraQuery`."""

    cameras: tuple[CameraEntry, ...]
    next: Id | None = None
    """The id to continue after; None: this was the last page."""


class CameraUpdate(Partial):
    """A change to one camera."""

    id: Id
    patch: CameraPatch
    revision: int | None = None
    """Change only this revision; None: the last one."""


class CameraRemove(Model):
    """Take a camera out of the catalogue. Its recordings stay until retention takes them."""

    id: Id
    revision: int | None = None


class CameraRemovalReply(Model):
    """The camera is gone from the catalogue."""

    id: Id


_UTF_16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class ImportRequest(Model):
    """Many cameras at once. docs/guide/cameras.md lists the columns."""

    format: Literal["csv", "json"]
    content: str = Field(repr=False)
    dry_run: bool = False
    """Report the changes without making them."""

    @classmethod
    def of(cls, body: bytes, content_type: str, *, dry_run: bool = False) -> "ImportRequest":
        """From an HTTP body or a file; raises `InvalidInputError`.

        CSV may be UTF-8, with a byte-order mark or without, UTF-16 with one, or windows-1252 as spreadsheets write it.
        """
        if len(body) > MAX_IMPORT_BYTES:
            raise InvalidInputError(f"an import takes at most {MAX_IMPORT_BYTES} bytes, this has {len(body)}; split it")
        is_json = "json" in content_type.lower()
        try:
            text = body.decode("utf-16" if body[:2] in _UTF_16_MARKS and not is_json else "utf-8-sig")
        except UnicodeDecodeError as error:
            if is_json:
                raise InvalidInputError(f"JSON is UTF-8, and this is not (byte {error.start})") from error
            text = body.decode("cp1252", errors="replace")
        return cls(format="json" if is_json else "csv", content=text, dry_run=dry_run)


RowProblem = Literal[
    "",
    "cells",
    "no-object",
    "no-camera",
    "same-camera",
    "password-alone",
    "no-boolean",
    "no-degrees",
    "invalid",
    "conflict",
    "unavailable",
]
"""Why a row was refused, for an interface that says it in its own language. ``cells``: more than the header has.
``same-camera``: another row names it, too. ``invalid``: the column's value is not what it must be."""


class ImportRow(Model):
    """The result of one row."""

    row: int
    """CSV: the line in the file, the header being 1. JSON: the place in the list, from 1."""
    id: str
    """The camera; empty where the row names none."""
    result: Literal["added", "updated", "unchanged", "refused"]
    detail: str = ""
    """Why it was refused, or which fields changed. For logs: an interface goes by ``code`` and ``column``."""
    code: RowProblem = ""
    column: str = ""
    """The column, or the path of the field, that the problem is in; empty where it is in none or several."""


class ImportReport(Model):
    """The result of each row."""

    rows: tuple[ImportRow, ...]
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0
    notes: tuple[str, ...] = ()
    """About the file as a whole: unknown columns."""
    ignored: tuple[str, ...] = ()
    """The unknown columns."""
    dry_run: bool = False
