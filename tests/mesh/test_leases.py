"""Leases, leadership and claims on a real nats-server, through its restarts and without JetStream."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.contracts import subjects
from services.contracts.models import WorkerLease
from services.mesh.bus import Bus, BusMessage
from services.mesh.clock import ManualClock
from services.mesh.leases import (
    DEAF_SECONDS,
    EXPIRE_SECONDS,
    GIVE_UP_SECONDS,
    LATE_SECONDS,
    RENEW_SECONDS,
    Claim,
    Leadership,
    Lease,
    Workers,
    roll_call,
)
from services.mesh.nats_server import NatsServer
from services.mesh.settings import MeshSettings
from tests.eventually import eventually
from tests.support.leases import HOME, leasing

A = WorkerLease(role="ingest", worker="ingest-a", incarnation=1)
B = WorkerLease(role="registry", worker="registry-b", incarnation=2)
C = WorkerLease(role="registry", worker="registry-c", incarnation=3)


@pytest.fixture
async def following(bus: Bus) -> AsyncIterator[Workers]:
    workers = Workers(bus, HOME)
    task = asyncio.create_task(workers.run())
    yield workers
    task.cancel()


def pass_time(clock: ManualClock, workers: Workers, seconds: float) -> None:
    """In steps, as a process that runs all the time sees it."""
    while seconds > 0:
        clock.advance(min(seconds, DEAF_SECONDS / 2))
        workers.alive("ingest")
        seconds -= DEAF_SECONDS / 2


def test_a_holder_gives_up_before_anybody_else_may_begin() -> None:
    assert RENEW_SECONDS * 2 < GIVE_UP_SECONDS < EXPIRE_SECONDS


async def test_a_lease_is_held_only_as_long_as_it_comes_back(bus: Bus) -> None:
    clock = ManualClock()
    lease = Lease(bus, HOME, lambda: A, clock=clock)
    held = [lease.held]
    living = asyncio.create_task(lease.run())
    await eventually(lambda: lease.held)
    living.cancel()
    await asyncio.gather(living, return_exceptions=True)
    clock.advance(GIVE_UP_SECONDS - 0.1)
    clock.step(-3600)  # the wall clock's steps mean nothing
    held.append(lease.held)
    clock.advance(0.1)
    held.append(lease.held)
    assert held == [False, True, False]


async def test_a_heartbeat_of_another_process_by_the_same_name_renews_nothing(bus: Bus) -> None:
    lease = Lease(bus, HOME, lambda: A)
    async with leasing(bus, A.model_copy(update={"incarnation": 99})) as other:
        await eventually(lambda: other.held)
        await lease._on_own(await _next_heartbeat(bus))
        assert not lease.held


async def _next_heartbeat(bus: Bus) -> BusMessage:
    heard: asyncio.Queue[BusMessage] = asyncio.Queue()
    subscription = await bus.subscribe(subjects.lease(HOME, "ingest", "*"), heard.put)
    message = await heard.get()
    await subscription.unsubscribe()
    return message


async def test_a_released_lease_is_gone_for_everybody_at_once(bus: Bus) -> None:
    workers = Workers(bus, HOME, clock=ManualClock())  # for which no lease is over by itself
    following = asyncio.create_task(workers.run())
    async with leasing(bus, A) as lease:
        await eventually(lambda: workers.alive("ingest") == [A] and lease.held)
    assert not lease.held
    await eventually(lambda: workers.alive("ingest") == [])
    following.cancel()


async def test_a_lease_is_let_go_where_the_bus_is_gone(bus: Bus, nats_server: NatsServer) -> None:
    lease = Lease(bus, HOME, lambda: A)
    await nats_server.stop()
    async with asyncio.timeout(90):
        await lease.release()
    assert not lease.held


async def test_workers_are_alive_while_heartbeats_are_heard(bus: Bus) -> None:
    clock = ManualClock()
    workers = Workers(bus, HOME, clock=clock)
    following = asyncio.create_task(workers.run())
    await workers.ready.wait()
    lease = Lease(bus, HOME, lambda: A)
    await lease.renew()
    await eventually(lambda: workers.alive("ingest") == [A])
    assert workers.alive("recorder") == []
    pass_time(clock, workers, EXPIRE_SECONDS)
    assert not workers.alive("ingest")
    await lease.renew()
    await eventually(lambda: workers.alive("ingest") == [A])
    following.cancel()


async def test_a_lease_of_another_role_than_its_subject_says_is_none(bus: Bus, following: Workers) -> None:
    await following.ready.wait()
    await bus.publish(subjects.lease(HOME, "ingest", A.worker), B.pack())
    await bus.publish(subjects.lease(HOME, "ingest", A.worker), A.pack())
    await eventually(lambda: following.alive("ingest") == [A])
    await bus.publish(subjects.lease(HOME, "ingest", "ingest-b"), B.pack())
    await bus.publish(subjects.lease(HOME, "registry", C.worker), C.pack())
    await eventually(lambda: following.alive("registry") != [])
    assert following.alive("registry") == [C]


async def test_a_process_that_was_frozen_itself_does_not_hold_that_against_the_workers(bus: Bus) -> None:
    clock = ManualClock()
    workers = Workers(bus, HOME, clock=clock)
    following = asyncio.create_task(workers.run())
    await workers.ready.wait()
    await Lease(bus, HOME, lambda: A).renew()
    await eventually(lambda: workers.alive("ingest") == [A])
    clock.advance(60)
    assert workers.alive("ingest") == [A]
    pass_time(clock, workers, EXPIRE_SECONDS)
    assert not workers.alive("ingest")
    following.cancel()


async def test_a_worker_that_comes_restarts_drains_is_back_or_goes_is_told_at_once_and_one_that_stays_is_not(
    bus: Bus,
) -> None:
    clock = ManualClock()
    workers = Workers(bus, HOME, clock=clock)
    following = asyncio.create_task(workers.run())
    await workers.ready.wait()

    async def told(**said: object) -> bool:
        """Whether it is, when A says of itself what ``said`` adds."""
        workers.moved.clear()
        lease = A.model_copy(update=said)
        await Lease(bus, HOME, lambda: lease).renew()
        await eventually(lambda: workers.alive("ingest") == [lease] and workers.timely_seconds() == LATE_SECONDS)
        return workers.moved.is_set()

    assert await told(load=0.1)
    pass_time(clock, workers, 1)
    assert workers.timely_seconds() == pytest.approx(LATE_SECONDS - 1)
    assert not await told(load=0.2)
    assert await told(incarnation=2)
    assert await told(incarnation=2, draining=True)
    pass_time(clock, workers, LATE_SECONDS + 0.1)
    assert workers.timely_seconds() == 0
    assert await told(incarnation=2, draining=True, load=0.3)
    workers.moved.clear()
    await Lease(bus, HOME, lambda: A).release()
    await asyncio.wait_for(workers.moved.wait(), 90)
    following.cancel()


async def test_who_missed_a_heartbeat_is_late_and_how_long_it_is_silent_is_known_after_it_has_gone(bus: Bus) -> None:
    clock = ManualClock()
    workers = Workers(bus, HOME, clock=clock)
    following = asyncio.create_task(workers.run())
    await workers.ready.wait()
    lease = Lease(bus, HOME, lambda: A)
    await lease.renew()
    await eventually(lambda: workers.alive("ingest") == [A])
    assert not workers.late("ingest")
    pass_time(clock, workers, 2)
    assert workers.late("ingest") == [A]
    await lease.release()
    await eventually(lambda: not workers.alive("ingest"))
    pass_time(clock, workers, 3)
    assert workers.silent_seconds("ingest", A.worker) == pytest.approx(5)
    assert workers.silent_seconds("ingest", "nobody") == float("inf")
    following.cancel()


async def test_who_begins_to_follow_hears_at_once_who_is_there(bus: Bus) -> None:
    async with leasing(bus, A), leasing(bus, B):
        await answering(bus, A, B)


async def answering(bus: Bus, *workers: WorkerLease) -> None:
    """Returns when all of them answer a roll call, which waits no longer for a process that does not get its turn."""
    async with asyncio.timeout(90):
        while await roll_call(bus, HOME) != list(workers):
            pass


async def test_a_lease_is_held_again_after_the_server_restarted(
    bus: Bus, following: Workers, nats_server: NatsServer
) -> None:
    # passes if nothing raises
    async with leasing(bus, A) as lease:
        await eventually(lambda: following.alive("ingest") == [A])
        await nats_server.kill()
        await eventually(lambda: not lease.held)
        await nats_server.start()
        await eventually(lambda: lease.held)
        await eventually(lambda: following.alive("ingest") == [A])


async def test_leases_need_no_jetstream(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "nats", text='host: "127.0.0.1"\nport: -1\n') as server:
        bus = await Bus.connect(MeshSettings(nats_url=server.url), "test")
        async with leasing(bus, A) as lease:
            await eventually(lambda: lease.held)
            await answering(bus, A)
        assert not await bus.store_answers(0.5)
        await bus.close()


async def contender(bus: Bus, lease: Lease, me: WorkerLease, gone: set[str]) -> tuple[Leadership, "asyncio.Task[None]"]:
    workers = Workers(bus, HOME, clock=ManualClock())  # for which no lease is over by itself
    task = asyncio.create_task(workers.run())
    return Leadership(lease, workers, me, gone=lambda other: other.worker in gone), task


async def test_the_registry_that_has_run_longest_leads_and_the_next_one_when_it_leaves_or_its_connection_ends(
    bus: Bus,
) -> None:
    gone: set[str] = set()
    async with leasing(bus, C) as second_lease:
        second, following = await contender(bus, second_lease, C, gone)
        await eventually(lambda: second.leading)
        async with leasing(bus, B) as first_lease:
            first, also = await contender(bus, first_lease, B, gone)
            await eventually(lambda: first.leading and not second.leading)
            gone.add(B.worker)
            await eventually(lambda: second.leading)
            gone.clear()
            await eventually(lambda: not second.leading)
        await eventually(lambda: second.leading and not first.leading)
    following.cancel()
    also.cancel()


async def test_nobody_leads_whose_own_heartbeat_does_not_come_back(bus: Bus, following: Workers) -> None:
    lease = Lease(bus, HOME, lambda: B)
    await following.ready.wait()
    assert not Leadership(lease, following, B, gone=lambda _: False).leading


async def test_of_those_that_claim_the_same_thing_the_first_has_it_until_it_releases_it(bus: Bus) -> None:
    first, second = Claim(bus, HOME, "h264-cam-1", "relay-1"), Claim(bus, HOME, "h264-cam-1", "relay-2")
    other = Claim(bus, HOME, "h264-cam-2", "relay-2")
    assert await first.attempt()
    async with asyncio.timeout(90):
        while await second.attempt():  # the first, which was asked, has not had its turn
            await asyncio.sleep(0.02)
    assert await first.attempt()
    assert await other.attempt()
    await first.release()
    await eventually(lambda: not second._earlier)
    assert await second.attempt()
    for claim in (second, other):
        await claim.release()
