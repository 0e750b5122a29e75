"""Transfers over a real nats-server."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from services.contracts.errors import NotFoundError, UnavailableError
from services.mesh import transfer
from services.mesh.bus import Bus, BusMessage
from services.mesh.clock import Clock, TurnedClock
from services.mesh.settings import MeshSettings
from tests.eventually import eventually
from tests.flushed import flushed


class Source:
    """Payloads that count how far the sender has come."""

    def __init__(self, count: int, size_bytes: int, error: Exception | None = None) -> None:
        self.made = 0
        self.closed = False
        self._count, self._size, self._error = count, size_bytes, error

    async def payloads(self) -> AsyncIterator[bytes]:
        try:
            for number in range(self._count):
                self.made += 1
                yield number.to_bytes(4, "big") * (self._size // 4)
            if self._error:
                raise self._error
        finally:
            self.closed = True


@pytest.fixture
async def other(mesh_settings: MeshSettings) -> AsyncIterator[Bus]:
    connection = await Bus.connect(mesh_settings, "other")
    yield connection
    await connection.close()


async def offer(
    bus: Bus, tasks: asyncio.TaskGroup, deliver_to: str, payloads: AsyncIterator[bytes], clock: Clock | None = None
) -> str:
    """As an RPC's answer tells it: behind the subscription, on the same connection."""
    control = await transfer.send(bus, tasks, deliver_to, payloads, clock=clock)
    await flushed(bus.client)
    return control


async def test_everything_arrives_in_order(bus: Bus, other: Bus) -> None:
    source = Source(200, 100_000)
    async with asyncio.TaskGroup() as tasks, await transfer.Incoming.open(bus, window_bytes=1_000_000) as incoming:
        await incoming.accept(await offer(other, tasks, incoming.deliver_to, source.payloads()))
        got = [int.from_bytes(payload[:4], "big") async for payload in incoming]
    assert got == list(range(200))
    assert source.closed


async def test_a_receiver_that_does_not_read_holds_the_sender_back(bus: Bus, other: Bus) -> None:
    source = Source(1000, 100_000)
    async with asyncio.TaskGroup() as tasks:
        incoming = await transfer.Incoming.open(bus, window_bytes=1_000_000)
        await incoming.accept(await offer(other, tasks, incoming.deliver_to, source.payloads()))
        await anext(incoming)
        await eventually(lambda: source.made >= 10)
        await asyncio.sleep(0.3)
        assert source.made <= 13
        await incoming.close()
    assert source.closed


async def test_nothing_is_sent_before_the_receiver_listens(bus: Bus, other: Bus) -> None:
    source = Source(3, 4)
    async with asyncio.TaskGroup() as tasks:
        incoming = await transfer.Incoming.open(bus)
        control = await offer(other, tasks, incoming.deliver_to, source.payloads())
        await asyncio.sleep(0.1)
        assert source.made == 0
        await incoming.accept(control)
        assert len([payload async for payload in incoming]) == 3


async def test_the_sender_s_error_is_raised_at_the_receiver(bus: Bus, other: Bus) -> None:
    source = Source(2, 4, NotFoundError("there is no footage; choose another time"))
    async with asyncio.TaskGroup() as tasks, await transfer.Incoming.open(bus) as incoming:
        await incoming.accept(await offer(other, tasks, incoming.deliver_to, source.payloads()))
        assert len([await anext(incoming), await anext(incoming)]) == 2
        with pytest.raises(NotFoundError, match="there is no footage; choose another time"):
            await anext(incoming)


async def test_a_lost_payload_is_noticed(bus: Bus, other: Bus) -> None:
    source = Source(5, 4)
    async with asyncio.TaskGroup() as tasks, await transfer.Incoming.open(bus) as incoming:
        control = await offer(other, tasks, incoming.deliver_to, source.payloads())
        await incoming.accept(control)
        assert await anext(incoming)
        while len(incoming._arrived) < 4:
            await asyncio.sleep(0.01)
        incoming._arrived.popleft()
        with pytest.raises(UnavailableError, match="1 messages were lost"):
            await anext(incoming)


async def test_a_lost_payload_is_noticed_also_where_all_that_there_was_credit_for_is_lost(bus: Bus, other: Bus) -> None:
    """Both sides told each other for ever that they live."""
    clock = TurnedClock()
    source = Source(100, 10_000)
    async with (
        asyncio.TaskGroup() as tasks,
        await transfer.Incoming.open(bus, window_bytes=40_000, clock=clock) as incoming,
    ):
        await incoming.accept(await offer(other, tasks, incoming.deliver_to, source.payloads(), clock))
        while len(incoming._arrived) < 4:
            await asyncio.sleep(0.01)
        incoming._arrived.clear()
        reading = asyncio.create_task(anext(incoming))
        until = clock.monotonic() + 10 * transfer.SILENCE_SECONDS
        while not reading.done() and clock.monotonic() < until:
            clock.advance(transfer.ALIVE_SECONDS)
            await asyncio.sleep(0.01)
    assert reading.done()
    with pytest.raises(UnavailableError, match="4 messages were lost"):
        reading.result()


async def test_both_sides_notice_that_the_other_is_gone(bus: Bus, mesh_settings: MeshSettings) -> None:
    clock = TurnedClock()
    dying = await Bus.connect(mesh_settings, "dying")
    source = Source(1000, 100_000)

    async def read_on() -> None:
        async for _ in incoming:
            pass

    async with asyncio.TaskGroup() as tasks:
        incoming = await transfer.Incoming.open(bus, window_bytes=500_000, clock=clock)
        await incoming.accept(await offer(dying, tasks, incoming.deliver_to, source.payloads(), clock))
        await anext(incoming)
        await dying.client.close()
        reading = asyncio.create_task(read_on())
        while not (reading.done() and source.closed):
            clock.advance(transfer.ALIVE_SECONDS)
            await asyncio.sleep(0.01)
    assert isinstance(reading.exception(), UnavailableError)


async def test_a_slow_receiver_is_not_taken_for_a_gone_one(bus: Bus, other: Bus) -> None:
    clock = TurnedClock()
    source = Source(20, 10_000)
    grants = 0

    async def note_grant(message: BusMessage) -> None:
        nonlocal grants
        grants += 1

    incoming = await transfer.Incoming.open(other, window_bytes=20_000, clock=clock)
    async with asyncio.TaskGroup() as tasks, incoming:
        control = await offer(bus, tasks, incoming.deliver_to, source.payloads(), clock)
        await bus.subscribe(control, note_grant)
        await flushed(bus.client)
        await incoming.accept(control)
        await anext(incoming)
        until = clock.monotonic() + 3 * transfer.SILENCE_SECONDS
        while clock.monotonic() < until:  # nothing is read: that the receiver is there, its answers alone tell
            before = grants
            clock.advance(transfer.ALIVE_SECONDS)
            while grants == before:
                await asyncio.sleep(0.01)
        assert [int.from_bytes(payload[:4], "big") async for payload in incoming] == list(range(1, 20))


async def test_a_receiver_that_gives_credit_without_end_is_not_sent_all_there_is(bus: Bus, other: Bus) -> None:
    clock = TurnedClock()
    payload_bytes = transfer.MAX_WINDOW_BYTES // 16
    source = Source(100, payload_bytes)
    async with asyncio.TaskGroup() as tasks:
        control = await offer(other, tasks, "nobody.listens", source.payloads(), clock)
        await bus.publish(control, transfer._CONTROL.pack(transfer._CREDIT, 2**63))
        while not source.closed:
            clock.advance(transfer.ALIVE_SECONDS if source.made > 16 else 0)
            await asyncio.sleep(0.01)
    assert source.made == 17  # the last waited for credit


async def test_what_is_sent_without_credit_is_not_kept(bus: Bus) -> None:
    incoming = await transfer.Incoming.open(bus, window_bytes=1000)
    limit = incoming._bearable_bytes
    for sequence in range(10):
        data = transfer._HEAD.pack(transfer._PAYLOAD, sequence) + bytes(limit // 4)
        message: Any = SimpleNamespace(data=data)
        await incoming._on_message(message)
    assert sum(len(payload) for _, _, payload in incoming._arrived) <= limit
    kept = len(incoming._arrived)
    assert kept == 3
    for _ in range(kept):
        await anext(incoming)
    message = SimpleNamespace(data=transfer._HEAD.pack(transfer._END, 10))
    await incoming._on_message(message)
    with pytest.raises(UnavailableError, match="7 messages were lost"):
        await anext(incoming)
    await incoming.close()
