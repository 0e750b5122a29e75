"""Places sessions on the least loaded relay, and talks to the relay of a session over NATS.

A session's id is ``<relay>--<random>``, so any front finds the relay of any session without keeping a table.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Collection
from typing import Final, TypeVar

from services.contracts import subjects
from services.contracts.errors import NobodyThereError, NotFoundError, UnavailableError
from services.contracts.models import Model, WorkerLease
from services.contracts.permissions import Actor
from services.contracts.sessions import (
    Aim,
    SessionClose,
    SessionControl,
    SessionOpen,
    SessionOpened,
    Size,
    count_carried,
)
from services.mesh.bus import Bus
from services.mesh.clock import Clock
from services.mesh.leases import EXPIRE_SECONDS, Workers, presence
from services.mesh.log import get_logger
from services.mesh.metrics import counter
from services.mesh.presence import Presence
from services.mesh.rpc import Nothing, call
from services.mesh.tasks import end

log = get_logger()
R = TypeVar("R", bound=Model)

SEPARATOR: Final = "--"
RANDOM_BYTES: Final = 8
OPEN_SECONDS: Final = 5.0
CONTROL_SECONDS: Final = 3.0
SUCCESSOR_SECONDS: Final = 8.0
"""How long a viewer waits for the successor of a killed relay before it gets 503."""
MISSED_SECONDS: Final = 30.0
"""After the last relay has gone, a successor is expected for so long."""
PRESENT_SECONDS: Final = 0.3
"""After so long without an answer it is asked whether the relay is still there."""
LOOK_SECONDS: Final = 0.05
ALIKE: Final = 0.2
"""Loads that differ by less than this part of the larger count as alike."""
_SESSION_WEIGHT: Final = 0.01
"""Load added for each session placed on a relay since its last lease renewal."""

_placed = counter("front_sessions", "Sessions placed on a relay", "kind")
_refused = counter("front_sessions_refused", "Times that a relay refused or did not answer", "relay")


def new_session(relay: str) -> str:
    """An id for a session on ``relay``; its random part (64 bits) makes the URL a secret of its viewer."""
    return f"{relay}{SEPARATOR}{secrets.token_hex(RANDOM_BYTES)}"


def relay_of(session: str) -> str:
    """The relay that holds ``session``; raises `NotFoundError` where this cannot be a session's id."""
    relay, separator, random = session.rpartition(SEPARATOR)
    if not separator or not subjects.is_id(relay) or len(random) != 2 * RANDOM_BYTES:
        raise NotFoundError(f"there is no session {session!r}; open one with POST")
    return relay


def rank_relays(relays: list[WorkerLease], placed: Counter[str], cameras: Collection[str] = ()) -> list[WorkerLease]:
    """The relays that take sessions, least loaded first; of those whose loads hardly differ from the least, the one
    first that carries most of ``cameras`` already: a camera's reading and laying out is paid for once a relay.

    ``load`` is what each says of itself, in sessions or any unit that its ``capacity`` has too; ``placed`` are the
    sessions put there since it said so.
    """

    def fullness(lease: WorkerLease) -> float:
        load = lease.load / lease.capacity if lease.capacity else lease.load
        return load + placed[lease.worker] * _SESSION_WEIGHT

    ranked = sorted(
        (lease for lease in relays if not lease.draining), key=lambda lease: (fullness(lease), lease.worker)
    )
    if not ranked or not cameras:
        return ranked
    limit = fullness(ranked[0]) / (1 - ALIKE)
    alike = [lease for lease in ranked if fullness(lease) <= limit]
    alike.sort(key=lambda lease: -count_carried(cameras, lease.detail.get("cameras", "")))
    return alike + ranked[len(alike) :]


class Relays:
    """The live relays, as this front sees them."""

    def __init__(self, bus: Bus, home: str, workers: Workers, clock: Clock) -> None:
        self.pages = 0
        """Open control sockets; killed relays are watched for while there are any."""
        self.presence = Presence(bus, workers, "relay", asking=lambda: self.pages > 0)
        self._bus = bus
        self._home = home
        self._workers = workers
        self._clock = clock
        self._placed: Counter[str] = Counter()
        self._placed_at = float("-inf")
        self._alive_at = float("-inf")
        """When a relay was last alive."""
        self._bus_back_at = float("-inf")
        self._reconnects = 0

    def alive(self) -> list[WorkerLease]:
        """Relays that hold a lease."""
        found = self._workers.alive("relay")
        if found:
            self._alive_at = self._clock.monotonic()
        return found

    def gone(self, relay: str) -> bool:
        """Whether ``relay`` has lost its lease or its connection. False while the bus is away or just back."""
        now = self._clock.monotonic()
        if self._bus.reconnects != self._reconnects or not self._bus.connected:
            self._reconnects = self._bus.reconnects
            self._bus_back_at = now
        if not self._workers.ready.is_set() or now - self._bus_back_at < EXPIRE_SECONDS:
            return False
        return all(lease.worker != relay or self.presence.gone(lease) for lease in self.alive())

    async def open_session(
        self, offer: str, *, kind: str, aims: tuple[Aim, ...], actor: Actor, sizes: tuple[Size, ...] = ()
    ) -> SessionOpened:
        """Opens a session on the least loaded relay, on the next one where that refuses or does not answer.

        Where all have just gone, waits a moment for those that are started in their place.
        Raises `InvalidInputError` where the offer cannot be answered, `UnavailableError` where no relay takes it.
        """
        asked: set[tuple[str, int]] = set()
        cameras = {aim.camera for aim in aims if aim.camera is not None and aim.source == "live"}
        now = self._clock.monotonic()
        why = "no relay takes another viewer just now; try again shortly"
        ended = not self.alive() and now - self._alive_at < MISSED_SECONDS
        deadline = now + SUCCESSOR_SECONDS
        while True:
            new = [lease for lease in self.alive() if (lease.worker, lease.incarnation) not in asked]
            for lease in rank_relays(new, self._recently_placed(), cameras):
                question = SessionOpen(
                    session=new_session(lease.worker),
                    offer=offer,
                    kind="whep" if kind == "whep" else "wall",
                    aims=aims,
                    sizes=sizes,
                    client=actor.name,
                )
                try:
                    opened = await self._ask_to_open(lease, question, actor)
                except UnavailableError as error:
                    if isinstance(error, NobodyThereError):
                        ended = True
                    else:
                        why = error.message
                    _refused.labels(lease.worker).inc()
                    log.warning("front.relay_refused", relay=lease.worker, error=error)
                    continue
                self._placed[lease.worker] += 1
                _placed.labels(kind).inc()
                return opened
            if not ended or self._clock.monotonic() >= deadline:
                raise UnavailableError(why, retry_after_seconds=2)
            asked |= {(lease.worker, lease.incarnation) for lease in new}
            await asyncio.sleep(LOOK_SECONDS)

    async def _ask_to_open(self, lease: WorkerLease, question: SessionOpen, actor: Actor) -> SessionOpened:
        """The relay's answer. Raises `NobodyThereError` as soon as the relay's connection is gone: what was on its way
        to a relay when that was killed is never answered, and nats-server does not say so."""
        asking = asyncio.create_task(
            self._ask(lease.worker, "session-open", question, SessionOpened, actor, OPEN_SECONDS),
            name=f"open on {lease.worker}",
        )
        try:
            while not (await asyncio.wait((asking,), timeout=PRESENT_SECONDS))[0]:
                try:
                    await self._bus.request(presence(lease), b"", timeout_seconds=PRESENT_SECONDS)
                except NobodyThereError:
                    raise
                except UnavailableError:  # it is busy, or this front's own connection is away
                    continue
            return asking.result()
        finally:
            await end((asking,))

    async def control_session(self, message: SessionControl, actor: Actor) -> None:
        """Sends a page's message to the session's relay; raises the relay's refusal."""
        await self._of_session(message.session, "session-control", message, actor)

    async def close_session(self, session: str, actor: Actor) -> None:
        """Ends a session; raises `NotFoundError` where there is none."""
        await self._of_session(session, "session-close", SessionClose(session=session), actor)

    async def _of_session(self, session: str, endpoint: str, message: Model, actor: Actor) -> None:
        relay = relay_of(session)
        try:
            await self._ask(relay, endpoint, message, Nothing, actor, CONTROL_SECONDS)
        except UnavailableError as error:
            if self.gone(relay):
                raise NotFoundError(f"the session {session!r} has ended with its relay; open a new one") from error
            raise

    async def _ask(
        self, relay: str, endpoint: str, question: Model, reply: type[R], actor: Actor, timeout_seconds: float
    ) -> R:
        subject = subjects.rpc(self._home, f"relay.{relay}", endpoint)
        return await call(self._bus, subject, question, reply, actor=actor, timeout_seconds=timeout_seconds)

    def _recently_placed(self) -> Counter[str]:
        """Sessions placed within the last second: relays renew their leases, and with them their load, as often."""
        now = self._clock.monotonic()
        if now - self._placed_at > 1.0:
            self._placed.clear()
            self._placed_at = now
        return self._placed
