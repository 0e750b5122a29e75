"""Buckets and mirrors on a real nats-server, through its restarts."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from nats.js.api import ConsumerConfig, ConsumerInfo
from structlog.testing import capture_logs
from structlog.typing import EventDict

from services.contracts import subjects
from services.contracts.errors import ConflictError, UnavailableError
from services.contracts.models import Camera, CameraState, Profile, Status
from services.mesh.buckets import TRIES_A_WARNING, Bucket, Mirror
from services.mesh.bus import Bus, BusMessage, BusSubscription, Handler
from services.mesh.nats_server import NatsServer
from services.mesh.settings import MeshSettings
from tests.eventually import eventually


def camera(name: str) -> Camera:
    return Camera(id="cam-1", site="city", name=name, profiles={"main": Profile(url="rtsp://camera/main")})


def state(since_us: int) -> CameraState:
    return CameraState(camera="cam-1", site="city", status=Status.ONLINE, since_us=since_us)


@pytest.fixture
async def cameras(bus: Bus) -> Bucket[Camera]:
    return await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera)


@pytest.fixture
async def states(bus: Bus) -> Bucket[CameraState]:
    return await Bucket.open(bus, subjects.STATE_BUCKET, CameraState)


@pytest.fixture
async def mirror(states: Bucket[CameraState]) -> AsyncIterator[Mirror[CameraState]]:
    following = Mirror(states)
    task = asyncio.create_task(following.run())
    async with asyncio.timeout(90):
        await following.ready.wait()
    yield following
    task.cancel()


async def test_a_service_that_waits_for_a_bucket_warns_after_some_tries_and_not_at_once(bus: Bus) -> None:
    def levels(logs: list[EventDict]) -> list[str]:
        return [entry["log_level"] for entry in logs if entry["event"] == "bucket.waiting"]

    bus.makes_streams = False
    with capture_logs() as logs:
        opening = asyncio.create_task(Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera))
        await eventually(lambda: levels(logs)[-1:] == ["warning"])
        bus.makes_streams = True
        await opening
    assert levels(logs)[:TRIES_A_WARNING] == ["debug"] * (TRIES_A_WARNING - 1) + ["warning"]


async def test_what_was_put_is_got_with_its_revision(cameras: Bucket[Camera]) -> None:
    assert await cameras.get("cam-1") is None
    revision = await cameras.put("cam-1", camera("Alun-alun"))
    assert await cameras.get("cam-1") == (camera("Alun-alun"), revision)
    await cameras.delete("cam-1")
    assert await cameras.get("cam-1") is None
    await cameras.delete("cam-1")


async def test_two_writers_do_not_overwrite_each_other(cameras: Bucket[Camera]) -> None:
    first = await cameras.create("cam-1", camera("one"))
    with pytest.raises(ConflictError, match="exists already"):
        await cameras.create("cam-1", camera("two"))
    second = await cameras.update("cam-1", camera("two"), first)
    with pytest.raises(ConflictError, match="changed in the meantime"):
        await cameras.update("cam-1", camera("three"), first)
    assert await cameras.get("cam-1") == (camera("two"), second)


async def test_a_deletion_may_name_its_revision(cameras: Bucket[Camera]) -> None:
    first = await cameras.create("cam-1", camera("one"))
    second = await cameras.update("cam-1", camera("two"), first)
    with pytest.raises(ConflictError, match="changed in the meantime"):
        await cameras.delete("cam-1", first)
    await cameras.delete("cam-1", second)
    assert await cameras.get("cam-1") is None


async def test_a_key_may_be_created_again_after_its_deletion(cameras: Bucket[Camera]) -> None:
    await cameras.create("cam-1", camera("one"))
    await cameras.delete("cam-1")
    await cameras.create("cam-1", camera("again"))
    found = await cameras.get("cam-1")
    assert found is not None
    assert found[0].name == "again"


async def test_a_value_nobody_understands_is_as_if_there_were_none(cameras: Bucket[Camera]) -> None:
    await cameras.kv.put("cam-1", b"\xc1 not msgpack")
    await cameras.kv.put("cam-2", b"\x80")
    assert await cameras.get("cam-1") is None
    assert await cameras.get("cam-2") is None


async def test_what_was_written_survives_kill_9_of_the_server(cameras: Bucket[Camera], nats_server: NatsServer) -> None:
    await cameras.put("cam-1", camera("Alun-alun"))
    await nats_server.kill()
    await nats_server.start()
    await eventually(lambda: cameras.bus.connected)
    found = await cameras.get("cam-1")
    assert found is not None
    assert found[0].name == "Alun-alun"


async def test_a_write_that_was_refused_while_the_bus_was_away_is_not_carried_out_later(
    cameras: Bucket[Camera], nats_server: NatsServer
) -> None:
    revision = await cameras.put("cam-1", camera("Alun-alun"))
    await nats_server.kill()
    await eventually(lambda: not cameras.bus.connected)
    for attempt in (
        cameras.put("cam-1", camera("too early")),
        cameras.update("cam-1", camera("too early"), revision),
        cameras.create("cam-2", camera("too early")),
        cameras.delete("cam-1"),
    ):
        with pytest.raises(UnavailableError):
            await attempt
    await nats_server.start()
    await eventually(lambda: cameras.bus.connected)
    assert await cameras.get("cam-1") == (camera("Alun-alun"), revision)
    assert await cameras.get("cam-2") is None


async def test_a_mirror_has_what_was_there_and_every_change(states: Bucket[CameraState]) -> None:
    await states.put("cam-1", state(1))
    seen: list[tuple[str, int | None]] = []
    mirror = Mirror(states, lambda key, value, _: seen.append((key, value.since_us if value else None)))
    task = asyncio.create_task(mirror.run())
    async with asyncio.timeout(90):
        await mirror.ready.wait()
    assert mirror.get("cam-1") == state(1)
    await states.put("cam-1", state(2))
    await states.put("cam-2", state(3))
    await states.delete("cam-1")
    await eventually(lambda: len(seen) == 4)
    task.cancel()
    assert seen == [("cam-1", 1), ("cam-1", 2), ("cam-2", 3), ("cam-1", None)]
    assert mirror.values() == [state(3)]


async def test_a_mirror_of_an_empty_bucket_is_ready(mirror: Mirror[CameraState]) -> None:
    assert mirror.values() == []


async def test_a_mirror_goes_on_after_the_server_restarted(
    mirror: Mirror[CameraState], states: Bucket[CameraState], nats_server: NatsServer
) -> None:
    # passes if nothing raises
    await states.put("cam-1", state(1))
    await eventually(lambda: mirror.get("cam-1") == state(1))
    await nats_server.kill()
    await nats_server.start()
    await eventually(lambda: states.bus.connected)
    await states.put("cam-1", state(2))
    await eventually(lambda: mirror.get("cam-1") == state(2))
    await states.put("cam-2", state(3))
    await eventually(lambda: mirror.get("cam-2") == state(3))


async def test_a_mirror_forgets_what_went_while_it_was_away(
    cameras: Bucket[Camera], nats_server: NatsServer, mesh_settings: MeshSettings
) -> None:
    await cameras.put("cam-1", camera("one"))
    await cameras.put("cam-2", camera("two"))
    gone: list[str] = []
    mirror = Mirror(cameras, lambda key, value, _: gone.append(key) if value is None else None)
    task = asyncio.create_task(mirror.run())
    await eventually(lambda: len(mirror.entries) == 2)
    await nats_server.kill()
    await nats_server.start()
    other = await Bus.connect(mesh_settings, "other")
    await (await Bucket.open(other, subjects.CAMERAS_BUCKET, Camera)).delete("cam-1")
    await eventually(lambda: "cam-1" not in mirror.entries)
    task.cancel()
    await other.close()
    assert gone == ["cam-1"]
    assert mirror.get("cam-2") == camera("two")


async def test_what_a_mirror_was_told_stays_until_the_bucket_has_come_so_far(states: Bucket[CameraState]) -> None:
    seen: list[int] = []
    mirror = Mirror(states, lambda _key, value, _revision: seen.append(value.since_us if value else 0))
    first = await states.put("cam-1", state(1))
    mirror.tell("cam-1", state(5), first + 2)
    mirror.tell("cam-1", state(4), first + 1)
    task = asyncio.create_task(mirror.run())
    await mirror.ready.wait()
    assert mirror.get("cam-1") == state(1), "a list that begins anew has what there is"
    mirror.tell("cam-1", state(3), first + 2)
    await states.put("cam-1", state(2))
    await states.put("cam-1", state(3))
    await states.put("cam-1", state(6))
    await eventually(lambda: mirror.get("cam-1") == state(6))
    task.cancel()
    assert seen == [5, 1, 3, 6]


async def test_what_a_mirror_is_told_late_does_not_bring_back_what_the_bucket_has_removed(
    mirror: Mirror[CameraState], states: Bucket[CameraState]
) -> None:
    revision = await states.put("cam-1", state(1))
    await states.delete("cam-1")
    await states.put("cam-2", state(2))
    await eventually(lambda: mirror.get("cam-2") == state(2))
    mirror.tell("cam-1", state(1), revision)
    assert mirror.get("cam-1") is None


class Listings:
    """What a client is told of a bucket: by a node that was cut off, that there is nothing."""

    def __init__(self, bus: Bus, *kinds: str) -> None:
        """``kinds`` of the first listings, ``all`` or ``none``."""
        self.left = list(kinds)
        self._add = bus.js.add_consumer
        bus.js.add_consumer = self._list  # type: ignore[method-assign, assignment]  # as it is called here

    async def _list(self, stream: str, config: ConsumerConfig, **options: Any) -> ConsumerInfo:
        if self.left and self.left.pop(0) == "none":
            config = config.evolve(filter_subject=f"$KV.{subjects.STATE_BUCKET}.not-there")
        return await self._add(stream, config, **options)


async def test_a_bucket_that_has_values_is_not_taken_for_empty_when_a_node_lists_none(
    states: Bucket[CameraState],
) -> None:
    await states.put("cam-1", state(1))
    lost: list[str] = []
    mirror = Mirror(states, lambda key, value, _: lost.append(key) if value is None else None)
    listings = Listings(states.bus, "all", "none", "none")
    following = asyncio.create_task(mirror.run())
    await eventually(lambda: mirror.get("cam-1") is not None)
    await states.bus._on_reconnected()
    await eventually(lambda: not listings.left)
    await states.put("cam-1", state(2))
    await eventually(lambda: mirror.get("cam-1") == state(2))
    assert not lost
    following.cancel()


async def test_a_bucket_that_has_values_is_not_taken_for_empty_at_the_start_either(states: Bucket[CameraState]) -> None:
    await states.put("cam-1", state(1))
    Listings(states.bus, "none")
    mirror = Mirror(states)
    following = asyncio.create_task(mirror.run())
    await asyncio.wait_for(mirror.ready.wait(), 30)
    assert mirror.get("cam-1") == state(1)
    following.cancel()


async def test_a_large_bucket_is_listed_whole_although_nats_server_waits_for_answers_meanwhile(
    states: Bucket[CameraState],
) -> None:
    """nats-server asks for an answer (flow control) long before 4 MB."""
    names = [f"cam-{number}" for number in range(64)]
    for name in names:
        await states.put(name, state(1).model_copy(update={"detail": "x" * 64 * 1024}))
    mirror = Mirror(states)
    following = asyncio.create_task(mirror.run())
    await asyncio.wait_for(mirror.ready.wait(), 60)
    assert sorted(mirror.entries) == sorted(names)
    following.cancel()


async def test_a_mirror_of_which_a_message_is_lost_lists_the_bucket_again(states: Bucket[CameraState]) -> None:
    await states.put("cam-1", state(1))
    subscribe, losing = states.bus.subscribe, ["cam-2"]

    async def lossy(subject: str, handler: Handler, **options: Any) -> BusSubscription:
        async def lose(message: BusMessage) -> None:
            if losing and message.subject.endswith(losing[0]):
                losing.clear()
            else:
                await handler(message)

        return await subscribe(subject, lose, **options)

    states.bus.subscribe = lossy  # type: ignore[method-assign]  # a connection that loses one message
    mirror = Mirror(states)
    following = asyncio.create_task(mirror.run())
    await eventually(lambda: mirror.get("cam-1") == state(1))
    await states.put("cam-2", state(2))
    await states.put("cam-1", state(3))
    await eventually(lambda: mirror.get("cam-1") == state(3))
    assert mirror.get("cam-2") == state(2)
    following.cancel()


async def test_a_revision_that_was_told_ahead_and_went_to_another_value_is_what_the_bucket_has(
    states: Bucket[CameraState],
) -> None:
    mirror = Mirror(states)
    following = asyncio.create_task(mirror.run())
    await asyncio.wait_for(mirror.ready.wait(), 30)
    revision = await states.put("cam-2", state(1))
    await eventually(lambda: mirror.get("cam-2") == state(1))
    mirror.tell("cam-1", state(2), revision + 1)
    assert await states.put("cam-1", state(3)) == revision + 1
    await eventually(lambda: mirror.get("cam-1") == state(3))
    following.cancel()
