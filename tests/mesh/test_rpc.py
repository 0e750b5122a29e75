"""Questions and answers over NATS micro."""

import asyncio
from collections.abc import AsyncIterator

import nats.errors
import pytest
from pydantic import TypeAdapter, ValidationError

from services.contracts import subjects
from services.contracts.errors import MAX_PEER_CHARS, ConflictError, ForbiddenError, PantauError, UnavailableError
from services.contracts.models import Id, Model
from services.contracts.permissions import Actor, Role
from services.mesh.bus import Bus
from services.mesh.clock import TurnedClock
from services.mesh.nats_server import NatsServer
from services.mesh.rpc import Endpoint, Nothing, call, explain, gather, serve
from services.mesh.settings import MeshSettings
from tests.eventually import eventually
from tests.flushed import flushed

OPERATOR = Actor("Siti Nurbaya é", Role.OPERATOR)
VIEWER = Actor("tamu", Role.VIEWER)


class Question(Model):
    camera: Id
    wait_seconds: float = 0


class Answer(Model):
    text: str


ANSWER_SLOWLY = asyncio.Event()


async def greet(question: Question, actor: Actor) -> Answer:
    if question.camera == "slow":
        await ANSWER_SLOWLY.wait()
    await asyncio.sleep(question.wait_seconds)
    if question.camera == "taken":
        raise ConflictError("rtsp://u:hunter2@cam/ sudah ada — é\r\nX: y")
    if question.camera == "broken":
        raise RuntimeError("hunter2")
    return Answer(text=f"{question.camera} for {actor.name}, {actor.role}")


@pytest.fixture
async def tasks() -> AsyncIterator[asyncio.TaskGroup]:
    async with asyncio.TaskGroup() as group:
        yield group


@pytest.fixture
async def served(bus: Bus, tasks: asyncio.TaskGroup) -> AsyncIterator[Bus]:
    endpoints = [
        Endpoint("greet", Question, greet, Role.OPERATOR),
        Endpoint("everybody", Question, greet, Role.VIEWER, broadcast=True),
    ]
    micro = await serve(bus, tasks, home="city", service="greeter", endpoints=endpoints)
    yield bus
    await micro.stop()


def subject(endpoint: str) -> str:
    return subjects.rpc("city", "greeter", endpoint)


async def test_the_answer_comes_back_and_the_asker_is_known(served: Bus) -> None:
    answer = await call(served, subject("greet"), Question(camera="cam-1"), Answer, actor=OPERATOR)
    assert answer.text == "cam-1 for Siti Nurbaya é, operator"


async def test_an_expected_failure_arrives_as_itself_with_its_credentials_redacted(served: Bus) -> None:
    with pytest.raises(ConflictError) as raised:
        await call(served, subject("greet"), Question(camera="taken"), Answer)
    assert str(raised.value) == "rtsp://***@cam/ sudah ada — é\r\nX: y"


async def test_an_unexpected_failure_tells_the_asker_nothing(served: Bus) -> None:
    with pytest.raises(PantauError) as raised:
        await call(served, subject("greet"), Question(camera="broken"), Answer)
    assert str(raised.value) == "greet failed; see the log of the service"
    assert raised.value.status == 500


async def test_who_lacks_the_permission_is_refused(served: Bus) -> None:
    with pytest.raises(ForbiddenError, match="operator"):
        await call(served, subject("greet"), Question(camera="cam-1"), Answer, actor=VIEWER)


@pytest.mark.parametrize("header", [None, {"Pantau-Actor": "emperor x"}, {"Pantau-Actor": ""}])
async def test_who_does_not_say_who_asks_is_nobody(served: Bus, header: dict[str, str] | None) -> None:
    reply = await served.request(subject("greet"), Question(camera="cam-1").pack(), headers=header)
    assert reply.headers is not None
    assert reply.headers["Nats-Service-Error-Code"] == "forbidden"


@pytest.mark.parametrize("body", [b"", b"\x00", b"\xc1", b"\x81\xa6camera\xa5Bad!!"])
async def test_a_bad_question_is_refused_by_field(served: Bus, body: bytes) -> None:
    reply = await served.request(subject("greet"), body, headers={"Pantau-Actor": "admin x"})
    assert reply.headers is not None
    assert reply.headers["Nats-Service-Error-Code"] == "invalid-input"


async def test_a_slow_answer_delays_nobody(served: Bus) -> None:
    slow = asyncio.create_task(call(served, subject("greet"), Question(camera="slow"), Answer, timeout_seconds=600))
    await asyncio.sleep(0.1)
    await call(served, subject("greet"), Question(camera="fast"), Answer)
    assert not slow.done()
    ANSWER_SLOWLY.set()
    assert (await slow).text.startswith("slow")


async def test_nobody_there_is_said_at_once(bus: Bus) -> None:
    async with asyncio.timeout(90):
        with pytest.raises(UnavailableError, match="nobody answers"):
            await call(bus, subject("absent"), Nothing(), Nothing, timeout_seconds=600)


async def test_no_answer_in_time_is_unavailable(served: Bus) -> None:
    with pytest.raises(UnavailableError, match="within"):
        await call(served, subject("greet"), Question(camera="c", wait_seconds=1), Answer, timeout_seconds=0.1)


async def test_each_instance_answers_a_broadcast(
    served: Bus, mesh_settings: MeshSettings, tasks: asyncio.TaskGroup
) -> None:
    second = await Bus.connect(mesh_settings, "second")
    endpoints = [Endpoint("everybody", Question, greet, Role.VIEWER, broadcast=True)]
    micro = await serve(second, tasks, home="city", service="greeter", endpoints=endpoints)
    await flushed(second.client)
    question = Question(camera="all")
    answers = await gather(served, subject("everybody"), question, Answer, expected=2, timeout_seconds=600)
    assert len(answers) == 2
    clock, asked_before = TurnedClock(), served.client.stats["in_msgs"]
    gathering = asyncio.create_task(
        gather(served, subject("everybody"), question, Answer, expected=3, timeout_seconds=600, clock=clock)
    )
    await eventually(lambda: served.client.stats["in_msgs"] == asked_before + 3)  # the question and two answers
    await asyncio.sleep(0.01)
    assert not gathering.done()
    clock.advance(600)
    assert len(await gathering) == 2
    await micro.stop()
    await second.close()


async def test_a_broadcast_that_nobody_hears_ends_at_once(bus: Bus) -> None:
    async with asyncio.timeout(90):
        assert await gather(bus, subject("absent"), Nothing(), Nothing, expected=1, timeout_seconds=600) == []


async def test_instances_share_the_other_questions(
    served: Bus, mesh_settings: MeshSettings, tasks: asyncio.TaskGroup
) -> None:
    second = await Bus.connect(mesh_settings, "second")
    endpoints = [Endpoint("greet", Question, greet, Role.OPERATOR)]
    micro = await serve(second, tasks, home="city", service="greeter", endpoints=endpoints)
    await flushed(second.client)
    inbox = served.client.new_inbox()
    replies = await served.client.subscribe(inbox)
    await served.publish(
        subject("greet"), Question(camera="one").pack(), reply=inbox, headers={"Pantau-Actor": "admin x"}
    )
    await replies.next_msg(timeout=30)
    with pytest.raises((nats.errors.TimeoutError, TimeoutError)):
        await replies.next_msg(timeout=0.3)
    await micro.stop()
    await second.close()


async def test_a_service_is_found_by_micro_discovery(served: Bus) -> None:
    info = await served.client.request("$SRV.INFO.greeter", b"", timeout=30)
    assert b'"permission":"operator"' in info.data.replace(b" ", b"")


async def test_a_service_answers_again_after_the_server_restarted(served: Bus, nats_server: NatsServer) -> None:
    await nats_server.kill()
    await nats_server.start()
    async with asyncio.timeout(90):
        while True:
            try:
                answer = await call(
                    served, subject("greet"), Question(camera="cam-1"), Answer, actor=OPERATOR, timeout_seconds=0.5
                )
                break
            except UnavailableError:
                await asyncio.sleep(0.05)
    assert answer.text.startswith("cam-1")


def test_an_answer_with_thousands_of_mistakes_is_told_in_a_short_line() -> None:
    with pytest.raises(ValidationError) as told:
        TypeAdapter(list[int]).validate_python(["x"] * 10_000)
    assert explain(told.value).startswith("0: Input should be")
    assert len(explain(told.value)) <= MAX_PEER_CHARS
