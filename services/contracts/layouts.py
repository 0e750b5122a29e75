"""Saved walls: a grid and the cameras in its tiles, under a name."""

from typing import Literal

from pydantic import Field

from services.contracts.models import Id, Model
from services.contracts.patch import Partial, Patch
from services.contracts.permissions import Role
from services.contracts.requests import Repeatable
from services.contracts.saved import Audience, SavedItem

Grid = Literal["1", "2", "3", "4", "6", "8", "9", "10", "12", "13", "16", "25", "36", "49", "64"]
"""A grid by the number of its tiles."""


class LayoutTile(Model):
    """One tile of a saved wall."""

    camera: Id | None = None
    columns: int | None = Field(default=None, ge=1, le=8)
    """How many columns of the grid it was dragged over; None: its own size."""
    rows: int | None = Field(default=None, ge=1, le=8)


class Layout(SavedItem):
    """A saved wall."""

    key: int | None = Field(default=None, ge=1, le=9)
    """Shift and this digit open it."""
    grid: Grid
    tiles: tuple[LayoutTile, ...] = Field(default=(), max_length=64)
    hotspot: int | None = Field(default=None, ge=0, lt=64)
    """The tile that shows the camera of the tile selected last."""


class LayoutInput(Repeatable):
    """A wall to be saved."""

    name: str = Field(min_length=1, max_length=80)
    audience: Audience = Audience.PERSONAL
    role: Role | None = None
    key: int | None = Field(default=None, ge=1, le=9)
    grid: Grid
    tiles: tuple[LayoutTile, ...] = Field(default=(), max_length=64)
    hotspot: int | None = Field(default=None, ge=0, lt=64)


class LayoutPatch(Patch):
    """The fields of a saved wall that change."""

    nullable = frozenset({"role", "key", "hotspot"})

    name: str | None = Field(default=None, min_length=1, max_length=80)
    audience: Audience | None = None
    role: Role | None = None
    key: int | None = Field(default=None, ge=1, le=9)
    grid: Grid | None = None
    tiles: tuple[LayoutTile, ...] | None = Field(default=None, max_length=64)
    hotspot: int | None = Field(default=None, ge=0, lt=64)


class LayoutUpdate(Partial):
    """A change to one saved wall."""

    id: Id
    patch: LayoutPatch
    revision: int | None = None


class LayoutQuery(Model):
    """The saved walls that the asker may see."""


class LayoutEntry(Model):
    """A saved wall with its revision."""

    layout: Layout
    revision: int


class LayoutList(Model):
    """An answer to `LayoutQuery`, by name."""

    layouts: tuple[LayoutEntry, ...]
    last: Id | None = None
    """The one that the asker opened last."""


class LayoutDone(Model):
    """A saved wall was opened or removed."""


class PersonWalls(Model):
    """What is remembered of one person's walls."""

    last_layout: Id | None = None
