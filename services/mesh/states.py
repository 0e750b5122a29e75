"""Observed states of cameras: each change as it is told on a core subject, and the bucket that keeps the last one.

So a change arrives also while the bucket cannot be written to, and figures (rates, counters) need no bucket.
"""

import asyncio
from collections.abc import Callable, Iterable

from pydantic import ValidationError

from services.contracts import subjects
from services.contracts.models import CameraFigures, CameraState, Id
from services.mesh.buckets import Bucket, Mirror
from services.mesh.bus import Bus, BusMessage
from services.mesh.log import get_logger
from services.mesh.tasks import together

log = get_logger()


class StateFeed:
    """The states that were told since this process began to listen."""

    def __init__(
        self,
        bus: Bus,
        home: Id,
        on_change: Callable[[str, CameraState | None], None] | None = None,
        *,
        figures: bool,
    ) -> None:
        """``on_change(camera, state or None)``; ``figures``: whether states with nothing but new figures are wanted."""
        self._bus = bus
        self._home = home
        self._on_change = on_change
        self._figures = figures
        self._told: dict[str, CameraState] = {}
        self.tells = False
        """Whether this process tells the figures itself, and says so with `know`: its own need not be read again."""

    def newer(self, camera: str, kept: CameraState | None) -> CameraState | None:
        """The state as told, where that is not older than ``kept``."""
        told = self._told.get(camera)
        return told if told is not None and (kept is None or told.since_us >= kept.since_us) else kept

    def know(self, states: Iterable[CameraState]) -> None:
        """Takes states of which this process tells the figures."""
        self._told |= {state.camera: state for state in states}

    async def run(self) -> None:
        """Listens until it is cancelled. After a reconnect nothing is known: something may have been missed."""
        subscriptions = [await self._bus.subscribe(subjects.state(self._home, "*"), self._on_state)]
        if self._figures:
            subscriptions.append(await self._bus.subscribe(subjects.figures(self._home), self._take_figures))
        try:
            while True:
                await self._bus.reconnected()
                self._told.clear()
        finally:
            for subscription in subscriptions:
                await subscription.unsubscribe()

    async def _on_state(self, message: BusMessage) -> None:
        camera = message.subject.rpartition(".")[2]
        if not message.data:
            self._told.pop(camera, None)
            state = None
        else:
            try:
                state = CameraState.unpack(message.data)
            except (ValidationError, ValueError) as error:
                log.warning("state.unreadable", camera=camera, error=error)
                return
            self._told[camera] = state
        if self._on_change is not None:
            self._on_change(camera, state)

    async def _take_figures(self, message: BusMessage) -> None:
        if self.tells:
            return
        try:
            states = CameraFigures.unpack(message.data).states
        except (ValidationError, ValueError) as error:
            log.warning("figures.unreadable", error=error)
            return
        self.know(states)


class StateMirror:
    """The states of all cameras, for those who only read them."""

    def __init__(
        self,
        bucket: Bucket[CameraState],
        home: Id,
        on_change: Callable[[str, CameraState | None, int], None] | None = None,
        *,
        figures: bool = False,
    ) -> None:
        """``on_change(camera, state or None, revision)`` as a `Mirror` calls it; ``figures``: they are wanted too."""
        self._on_change = on_change
        self._mirror = Mirror(bucket, self._on_kept)
        self._feed = StateFeed(bucket.bus, home, self._on_told, figures=figures)

    @property
    def ready(self) -> asyncio.Event:
        """Set when the states that are kept are known."""
        return self._mirror.ready

    def get(self, camera: str) -> CameraState | None:
        """The state as last told or kept."""
        return self._feed.newer(camera, self._mirror.get(camera))

    async def run(self) -> None:
        """Follows both until it is cancelled."""
        await together(self._feed.run(), self._mirror.run())

    def _on_kept(self, camera: str, state: CameraState | None, revision: int) -> None:
        if self._on_change is not None and self._feed.newer(camera, state) in (state, None):
            self._on_change(camera, state, revision)

    def _on_told(self, camera: str, state: CameraState | None) -> None:
        if self._on_change is not None:
            self._on_change(camera, state, 0)
