"""Screens: walls without chrome that show what operators send them, and tours, which change what a wall shows."""

from typing import Self

from pydantic import Field, model_validator

from services.contracts.layouts import Grid, LayoutTile
from services.contracts.models import Id, Model
from services.contracts.patch import Partial, Patch
from services.contracts.permissions import Role
from services.contracts.requests import Repeatable
from services.contracts.saved import Audience, SavedItem


class Arrangement(Model):
    """A grid and the cameras in its tiles."""

    grid: Grid
    tiles: tuple[LayoutTile, ...] = Field(default=(), max_length=64)
    hotspot: int | None = Field(default=None, ge=0, lt=64)


class TourStep(Model):
    """One stop of a tour: a saved wall, or cameras."""

    layout: Id | None = None
    cameras: tuple[Id, ...] = Field(default=(), max_length=64)
    dwell_seconds: float = Field(default=15.0, ge=2, le=3600)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.layout is None) is not bool(self.cameras):
            raise ValueError("a step has a layout or cameras, and not both")
        return self


class Tour(SavedItem):
    """Stops that a wall shows one after the other, and begins again."""

    steps: tuple[TourStep, ...] = Field(min_length=1, max_length=100)


class TourInput(Repeatable):
    """A tour to be saved."""

    name: str = Field(min_length=1, max_length=80)
    audience: Audience = Audience.SHARED
    role: Role | None = None
    steps: tuple[TourStep, ...] = Field(min_length=1, max_length=100)


class TourPatch(Patch):
    """The fields of a tour that change."""

    nullable = frozenset({"role"})

    name: str | None = Field(default=None, min_length=1, max_length=80)
    audience: Audience | None = None
    role: Role | None = None
    steps: tuple[TourStep, ...] | None = Field(default=None, min_length=1, max_length=100)


class TourUpdate(Partial):
    """A change to one tour."""

    id: Id
    patch: TourPatch
    revision: int | None = None


class TourQuery(Model):
    """The tours that the asker may see."""


class TourEntry(Model):
    """A tour with its revision."""

    tour: Tour
    revision: int


class TourList(Model):
    """An answer to `TourQuery`, by name."""

    tours: tuple[TourEntry, ...]


class TourDone(Model):
    """A tour was removed."""


class ScreenStop(Model):
    """One stop of the tour that a screen runs, with its saved wall put in."""

    wall: Arrangement
    dwell_seconds: float


class Screen(Model):
    """A registered screen, and what it is to show. It is kept, so that a screen comes back as it was."""

    id: Id
    """The name in its address, ``/screen/<name>``."""
    wall: Arrangement | None = None
    tour: str = ""
    """The name of the tour that runs; empty: none."""
    stops: tuple[ScreenStop, ...] = ()
    """Of the tour; they begin at ``sent_us``."""
    sent_us: int = 0
    sent_by: str = ""
    seen_us: int = 0
    """When its page was last heard of; exact to `SEEN_SECONDS`."""


SEEN_SECONDS = 10
"""A screen says so often that it is there."""


class ScreenQuery(Model):
    """All screens."""


class ScreenList(Model):
    """An answer to `ScreenQuery`, by name."""

    screens: tuple[Screen, ...]


class ScreenKey(Model):
    """One screen."""

    id: Id


class ScreenOrder(Model):
    """What a screen is to show from now on: a wall, a tour, or nothing."""

    id: Id
    wall: Arrangement | None = None
    tour: Id | None = None


class ScreenOrderInput(Model):
    """`ScreenOrder` without the screen, which the path names."""

    wall: Arrangement | None = None
    tour: Id | None = None
