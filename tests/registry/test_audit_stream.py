"""The watch over the audit stream: old seals go by age, audit stays, and a stream that gets full is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.contracts import subjects
from services.contracts.events import Audit, Event, SegmentClosed
from services.mesh.bus import Bus
from services.mesh.clock import TurnedClock
from services.mesh.event_stream import EventOutbox, StreamLimits, ensure_stream
from services.registry.audit_stream import FORGET_SECONDS, LOOK_SECONDS, AuditStream
from tests.eventually import eventually

DAY_SECONDS = 86400.0
AUDITED = Audit(site="city", at_us=1, target="cam-1", action="viewed", actor="siti", role="operator")
SEAL = SegmentClosed(
    site="city", at_us=2, camera="cam-1", recorder="r-1", profile="main", path="x.mp4", from_us=1, to_us=2,
    size_bytes=3, frames=4, keyframes=1, codec="h264",
)  # fmt: skip


async def publish(bus: Bus, *events: Event) -> None:
    outbox = EventOutbox(bus, source="/test")
    for event in events:
        outbox.post(event)
    running = asyncio.create_task(outbox.run())
    await outbox.flush(30)
    running.cancel()


async def messages(bus: Bus) -> dict[str, int]:
    return (await bus.js.stream_info(subjects.AUDIT_STREAM, subjects_filter=">")).state.subjects or {}


@asynccontextmanager
async def watching(bus: Bus, clock: TurnedClock) -> AsyncIterator[AuditStream]:
    stream = AuditStream(bus=bus, leading=lambda: True, seals_seconds=3 * DAY_SECONDS, clock=clock)
    running = asyncio.create_task(stream.run())
    try:
        yield stream
    finally:
        running.cancel()


async def test_seals_go_when_they_are_old_and_audit_stays(bus: Bus) -> None:
    await ensure_stream(bus)
    await publish(bus, AUDITED, SEAL, SEAL)
    clock = TurnedClock()
    async with watching(bus, clock):
        await publish(bus, AUDITED)
        for _ in range(2):  # young seals outlive a round
            clock.advance(FORGET_SECONDS)
            await asyncio.sleep(0.05)
        assert (await messages(bus))[SEAL.nats_subject] == 2
        clock.advance(4 * DAY_SECONDS)
        async with asyncio.timeout(90):
            while SEAL.nats_subject in await messages(bus):
                clock.advance(FORGET_SECONDS)  # the first turn may have met a round that had begun before it
                await asyncio.sleep(0.05)
        assert await messages(bus) == {AUDITED.nats_subject: 2}


async def test_a_stream_that_gets_full_is_told_with_the_setting_to_raise(bus: Bus) -> None:
    await ensure_stream(bus, StreamLimits(audit_bytes=1250))
    await publish(bus, AUDITED)
    clock = TurnedClock()
    async with watching(bus, clock) as stream:
        await asyncio.sleep(0.05)
        assert stream.troubles() == []
        await publish(bus, AUDITED.model_copy(update={"detail": {"text": "x" * 150}}))
        clock.advance(LOOK_SECONDS)
        await eventually(lambda: bool(stream.troubles()))
        (trouble,) = stream.troubles()
        assert (trouble.kind, trouble.subject) == ("audit-full", subjects.AUDIT_STREAM)
        assert trouble.count >= 80
        assert "PANTAU_REGISTRY_AUDIT_MAX_MEGABYTES" in trouble.detail
