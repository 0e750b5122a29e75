"""Answers ``events-acknowledge``: who has seen an event first counts, and is told to all pages."""

from typing import Self

from services.contracts import subjects
from services.contracts.acknowledgements import (
    AcknowledgedEvent,
    Acknowledgement,
    AcknowledgementList,
    AcknowledgeOrder,
)
from services.contracts.errors import ConflictError
from services.contracts.events import Audit
from services.contracts.models import Id
from services.contracts.permissions import Actor
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.clock import Clock
from services.mesh.event_stream import EventOutbox


class Acknowledgements:
    """Keeps acknowledgements; fronts mirror the bucket."""

    def __init__(self, *, home: Id, bucket: Bucket[Acknowledgement], outbox: EventOutbox, clock: Clock) -> None:
        self._home = home
        self._bucket = bucket
        self._outbox = outbox
        self._clock = clock

    @classmethod
    async def open(cls, bus: Bus, *, home: Id, outbox: EventOutbox, clock: Clock) -> Self:
        """With the bucket; waits while JetStream is away."""
        bucket = await Bucket.open(bus, subjects.ACKNOWLEDGED_BUCKET, Acknowledgement)
        return cls(home=home, bucket=bucket, outbox=outbox, clock=clock)

    async def acknowledge(self, order: AcknowledgeOrder, actor: Actor) -> AcknowledgementList:
        """Notes that ``actor`` has seen the events. What somebody acknowledged before stays theirs."""
        return AcknowledgementList(acknowledgements=tuple([await self._one(event, actor) for event in order.events]))

    async def _one(self, seen: AcknowledgedEvent, actor: Actor) -> Acknowledgement:
        key = str(seen.event)
        made = Acknowledgement(event=seen.event, event_us=seen.at_us, by=actor.name, at_us=self._clock.now_us())
        try:
            await self._bucket.create(key, made)
        except ConflictError:
            known = await self._bucket.get(key)
            if known is not None and known[0].event_us == seen.at_us:
                return known[0]
            await self._bucket.put(key, made)
        self._outbox.post(
            Audit(
                site=self._home,
                at_us=made.at_us,
                target=seen.subject,
                action="event-acknowledged",
                actor=actor.name,
                role=actor.role,
                detail={"event": key},
            )
        )
        return made
