"""The want protocol, both sides over a real server."""

import asyncio
from collections.abc import Sequence

import pytest

from services.contracts import subjects
from services.contracts.errors import NobodyThereError, UnavailableError
from services.contracts.models import WantReply
from services.mesh.bus import Bus, BusMessage
from services.mesh.clock import TurnedClock
from services.mesh.nats_server import NatsServer
from services.mesh.want import FRAMES_AT_ONCE, WantAnswerer, ask_want, renew_want
from tests.flushed import flushed

SUBJECT = subjects.want("city", "main", "cam-1")
FRAMES = tuple(b"frame %d" % number for number in range(2 * FRAMES_AT_ONCE + 3))


class Holder:
    """Holds the camera: notes what it is asked for, and answers."""

    def __init__(self, bus: Bus) -> None:
        self.asked: list[str] = []
        self.answer: tuple[WantReply, Sequence[bytes]] | None = WantReply(status="live", frames=len(FRAMES)), FRAMES
        self.answerer = WantAnswerer(bus, self._answer)

    def _answer(self, profile: str) -> tuple[WantReply, Sequence[bytes]] | None:
        self.asked.append(profile)
        return self.answer


async def listening(bus: Bus) -> Holder:
    holder = Holder(bus)
    await holder.answerer.listen(subjects.want("city", "*", "cam-1"))
    await flushed(bus.client)
    return holder


async def raw_answer(bus: Bus, *messages: bytes) -> None:
    """Answers the next want with these messages."""

    async def on_want(message: BusMessage) -> None:
        for data in messages:
            await bus.publish(message.reply, data)

    await bus.subscribe(SUBJECT, on_want)
    await flushed(bus.client)


async def test_an_answer_is_a_reply_and_then_the_frames_in_order(bus: Bus) -> None:
    holder = await listening(bus)
    async with ask_want(bus, SUBJECT) as answer:
        assert (answer.reply.status, answer.reply.frames) == ("live", len(FRAMES))
        assert [frame async for frame in answer] == list(FRAMES)
    assert holder.asked == ["main"]


async def test_a_renewal_reaches_the_answerer_and_is_not_answered(bus: Bus) -> None:
    """Ingest once dropped what came without a reply, and closed what was watched."""
    holder = await listening(bus)
    sent: list[str] = []

    async def note(message: BusMessage) -> None:
        sent.append(message.subject)

    await bus.subscribe(">", note)
    await renew_want(bus, SUBJECT)
    await flushed(bus.client)
    async with asyncio.timeout(90):
        while not holder.asked:
            await asyncio.sleep(0.01)
    await flushed(bus.client)
    assert holder.asked == ["main"]
    assert sent == [SUBJECT]


async def test_that_nobody_listens_is_known_at_once(bus: Bus) -> None:
    with pytest.raises(NobodyThereError, match="try again"):
        async with ask_want(bus, SUBJECT, silence_seconds=3600):
            pass


async def test_who_may_not_answer_is_silent_and_the_asker_gives_up(bus: Bus) -> None:
    holder = await listening(bus)
    holder.answer = None
    with pytest.raises(UnavailableError, match="no answer"):
        async with ask_want(bus, SUBJECT, silence_seconds=0.05):
            pass


async def test_a_camera_that_delivers_nothing_says_why(bus: Bus) -> None:
    holder = await listening(bus)
    holder.answer = WantReply(status="failed", detail="wrong password"), ()
    async with ask_want(bus, SUBJECT) as answer:
        assert (answer.reply.status, answer.reply.detail) == ("failed", "wrong password")
        assert [frame async for frame in answer] == []


async def test_an_answer_that_breaks_off_leaves_the_frames_that_came(bus: Bus) -> None:
    await raw_answer(bus, WantReply(status="live", frames=3).pack(), b"one", b"two")
    clock = TurnedClock()
    async with ask_want(bus, SUBJECT, silence_seconds=3600, clock=clock) as answer:
        assert [await anext(answer), await anext(answer)] == [b"one", b"two"]
        waiting = asyncio.create_task(anext(answer))
        await asyncio.sleep(0)
        clock.advance(3600)
        with pytest.raises(UnavailableError, match="no answer"):
            await waiting


async def test_an_answer_that_is_none_is_refused(bus: Bus) -> None:
    await raw_answer(bus, b"\xff garbage", b"")
    with pytest.raises(UnavailableError, match="could not be read"):
        async with ask_want(bus, SUBJECT):
            pass


async def test_asking_while_the_bus_is_away_fails_at_once(bus: Bus, nats_server: NatsServer) -> None:
    await nats_server.kill()
    async with asyncio.timeout(90):
        while bus.connected:
            await asyncio.sleep(0.01)
    with pytest.raises(UnavailableError, match="bus is away"):
        async with ask_want(bus, SUBJECT, silence_seconds=3600):
            pass


async def test_an_asker_that_has_enough_listens_no_longer(bus: Bus) -> None:
    await listening(bus)
    inboxes: list[str] = []

    async def note(message: BusMessage) -> None:
        inboxes.append(message.reply)

    await bus.subscribe(SUBJECT, note)
    async with ask_want(bus, SUBJECT) as answer:
        assert await anext(answer) == FRAMES[0]
    await flushed(bus.client)
    with pytest.raises(NobodyThereError):
        await bus.request(inboxes[0], b"", timeout_seconds=3600)


async def test_an_answerer_that_listens_elsewhere_answers_there_alone(bus: Bus) -> None:
    holder = await listening(bus)
    await holder.answerer.listen(subjects.want("mall", "*", "cam-1"))
    await flushed(bus.client)
    with pytest.raises(NobodyThereError):
        async with ask_want(bus, SUBJECT):
            pass
    async with ask_want(bus, subjects.want("mall", "sub", "cam-1")):
        pass
    await holder.answerer.close()
    assert holder.asked == ["sub"]


async def test_frames_go_through_the_answerers_own_gate(bus: Bus) -> None:
    gate: list[bytes] = []

    def refuse(_subject: str, message: bytes) -> None:
        gate.append(message)

    answerer = WantAnswerer(bus, lambda _profile: (WantReply(status="live"), FRAMES[:2]), publish_frame=refuse)
    await answerer.listen(SUBJECT)
    await flushed(bus.client)
    async with ask_want(bus, SUBJECT) as answer:
        assert [frame async for frame in answer] == []
    assert gate == [b"frame 0", b"frame 1"]
