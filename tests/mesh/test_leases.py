"""Leases and leadership on a real nats-server, through its restarts."""

import asyncio

import pytest

from services.contracts import subjects
from services.contracts.models import WorkerLease
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.clock import ManualClock
from services.mesh.leases import EXPIRE_SECONDS, GIVE_UP_SECONDS, RENEW_SECONDS, Leadership, Lease, Workers
from services.mesh.nats_server import NatsServer
from tests.eventually import eventually

A = WorkerLease(role="ingest", worker="ingest-a", incarnation=1)
B = WorkerLease(role="registry", worker="registry-b", incarnation=2)
C = WorkerLease(role="registry", worker="registry-c", incarnation=3)


@pytest.fixture
async def leases(bus: Bus) -> Bucket[WorkerLease]:
    return await Bucket.open(bus, subjects.LEASES_BUCKET, WorkerLease)


def test_a_holder_gives_up_before_anybody_else_may_begin() -> None:
    assert RENEW_SECONDS * 2 < GIVE_UP_SECONDS < EXPIRE_SECONDS


async def test_a_lease_is_held_only_as_long_as_it_was_renewed(leases: Bucket[WorkerLease]) -> None:
    clock = ManualClock()
    lease = Lease(leases, lambda: A, clock=clock)
    held = [lease.held]
    await lease.renew()
    held.append(lease.held)
    clock.advance(GIVE_UP_SECONDS - 0.1)
    clock.step(-3600)  # the wall clock's steps mean nothing
    held.append(lease.held)
    clock.advance(0.1)
    held.append(lease.held)
    await lease.renew()
    held.append(lease.held)
    await lease.release()
    held.append(lease.held)
    assert held == [False, True, True, False, True, False]
    assert await leases.get("ingest.ingest-a") is None


async def test_a_lease_is_let_go_where_the_bus_is_gone(leases: Bucket[WorkerLease], nats_server: NatsServer) -> None:
    lease = Lease(leases, lambda: A)
    await lease.renew()
    await nats_server.stop()
    async with asyncio.timeout(90):
        await lease.release()
    assert not lease.held


async def test_a_lease_that_is_not_renewed_is_gone_for_everybody(leases: Bucket[WorkerLease]) -> None:
    await Lease(leases, lambda: A).renew()
    assert await leases.get("ingest.ingest-a") is not None
    await asyncio.sleep(EXPIRE_SECONDS + 1)
    assert await leases.get("ingest.ingest-a") is None


async def test_workers_are_alive_while_renewals_are_seen(leases: Bucket[WorkerLease]) -> None:
    clock = ManualClock()
    workers = Workers(leases, clock=clock)
    following = asyncio.create_task(workers.run())
    lease = Lease(leases, lambda: A)
    await lease.renew()
    await eventually(lambda: workers.alive("ingest") == [A])
    assert workers.alive("recorder") == []
    clock.advance(EXPIRE_SECONDS)
    assert workers.alive("ingest") == []
    await lease.renew()
    await eventually(lambda: workers.alive("ingest") == [A])
    await lease.release()
    await eventually(lambda: workers.alive("ingest") == [])
    following.cancel()


async def test_a_lease_is_renewed_again_after_the_server_restarted(
    leases: Bucket[WorkerLease], nats_server: NatsServer
) -> None:
    # passes if nothing raises
    workers = Workers(leases)
    lease = Lease(leases, lambda: A)
    tasks = [asyncio.create_task(workers.run()), asyncio.create_task(lease.run())]
    await eventually(lambda: workers.alive("ingest") == [A])
    await nats_server.kill()
    await eventually(lambda: not lease.held)
    await eventually(lambda: workers.alive("ingest") == [])
    await nats_server.start()
    await eventually(lambda: lease.held, 5)
    await eventually(lambda: workers.alive("ingest") == [A], 5)
    for task in tasks:
        task.cancel()


async def test_one_leads_and_another_takes_over_when_it_is_silent(leases: Bucket[WorkerLease]) -> None:
    clock = ManualClock()
    first = Leadership(leases, B, key="leader.registry", clock=clock)
    second = Leadership(leases, C, key="leader.registry", clock=clock)
    assert await first.attempt()
    assert not await second.attempt()
    assert await first.attempt()
    clock.advance(GIVE_UP_SECONDS)
    assert not first.leading
    assert not await second.attempt()  # the key lives on for the rest of its three seconds
    await asyncio.sleep(EXPIRE_SECONDS + 1)
    assert await second.attempt()
    assert not await first.attempt()
    assert second.leading


async def test_a_leader_that_leaves_makes_room_at_once(leases: Bucket[WorkerLease]) -> None:
    first = Leadership(leases, B, key="leader.registry")
    second = Leadership(leases, C, key="leader.registry")
    assert await first.attempt()
    await first.release()
    assert not first.leading
    assert await second.attempt()


async def test_there_is_one_leader_again_after_the_server_restarted(
    leases: Bucket[WorkerLease], nats_server: NatsServer
) -> None:
    # passes if nothing raises
    contenders = [Leadership(leases, lease, key="leader.registry") for lease in (B, C)]
    tasks = [asyncio.create_task(each.run()) for each in contenders]
    await eventually(lambda: sum(each.leading for each in contenders) == 1)
    await nats_server.kill()
    await eventually(lambda: not any(each.leading for each in contenders))
    await nats_server.start()
    await eventually(lambda: sum(each.leading for each in contenders) == 1)
    for task in tasks:
        task.cancel()
