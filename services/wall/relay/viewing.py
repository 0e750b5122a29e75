"""Who watched which camera, live or recorded, from when to when: an audit event as a view begins, and as it ends.

A beginning without an end is a view that goes on, or one whose relay was killed. A view of more than `PART_SECONDS` is
ended and begun anew, so that a reader of the audit need not look further back.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from services.contracts.events import VIEW_PART_SECONDS, VIEWS, Audit
from services.contracts.models import Camera
from services.contracts.permissions import Actor
from services.mesh.clock import Clock


@dataclass
class _View:
    camera: str
    site: str
    source: Literal["live", "recorded"]
    number: str
    since_us: int
    shown: tuple[int, int] | None = None
    """Of a recording: the first and the last moment that the clock passed."""


class SessionViews:
    """The views of one session."""

    def __init__(self, viewer: Actor, kind: str, post: Callable[[Audit], None], clock: Clock) -> None:
        self._viewer = viewer
        self._kind = kind
        self._post = post
        self._clock = clock
        self._open: dict[int, _View] = {}
        """By slot."""

    def aim(self, slot: int, camera: Camera | None, source: Literal["live", "recorded"]) -> None:
        """A slot shows a camera from now on, or nothing."""
        view = self._open.get(slot)
        if view is not None and camera is not None and (view.camera, view.source) == (camera.id, source):
            return
        self._end(slot)
        if camera is not None:
            self._begin(slot, camera.id, camera.site, source)

    def at(self, at_us: int) -> None:
        """The clock of recorded slots stands at that moment."""
        for view in self._open.values():
            if view.source == "recorded" and at_us > 0:
                first, last = view.shown or (at_us, at_us)
                view.shown = min(first, at_us), max(last, at_us)

    def tick(self) -> None:
        """Divides long views. Call it now and then."""
        for slot, view in list(self._open.items()):
            if self._clock.now_us() - view.since_us >= VIEW_PART_SECONDS * 1_000_000:
                self._end(slot)
                self._begin(slot, view.camera, view.site, view.source)

    def close(self) -> None:
        """The session ends."""
        for slot in list(self._open):
            self._end(slot)

    def _begin(self, slot: int, camera: str, site: str, source: Literal["live", "recorded"]) -> None:
        view = _View(camera, site, source, secrets.token_hex(8), self._clock.now_us())
        self._open[slot] = view
        self._tell(view, 0)

    def _end(self, slot: int) -> None:
        view = self._open.pop(slot, None)
        if view is not None:
            self._tell(view, self._clock.now_us())

    def _tell(self, view: _View, until_us: int) -> None:
        detail = {"view": view.number, "via": self._kind, "since": _text(view.since_us)}
        if until_us:
            detail["until"] = _text(until_us)
        if view.shown is not None:
            detail |= {"from": _text(view.shown[0]), "to": _text(view.shown[1])}
        self._post(
            Audit.by(
                self._viewer,
                site=view.site,
                at_us=until_us or view.since_us,
                target=view.camera,
                action=VIEWS[view.source][bool(until_us)],
                detail=detail,
            )
        )


def _text(us: int) -> str:
    """RFC 3339 in UTC, in milliseconds."""
    return datetime.fromtimestamp(us // 1000 / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
