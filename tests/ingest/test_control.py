"""The link between service and reader process."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.models import CameraReport, Credentials, Profile, ProfileReport
from services.ingest import control
from services.ingest.control import CameraPlan, Message, Observed, Permit, Plan, Setup
from services.ingest.settings import IngestSettings

MESSAGES: list[Message] = [
    Setup(
        nats_url="nats://x:1",
        nats_user="u",
        nats_password="p",
        site="city",
        worker="w",
        process=3,
        cpu=None,
        log_level="info",
        log_format="json",
        ingest=IngestSettings().model_dump(),
    ),
    Plan(
        cameras=(
            CameraPlan(
                camera="a",
                site="s",
                epoch=4,
                profiles={"main": Profile(url="rtsp://h/x")},
                credentials=Credentials(username="u", password="ä:@"),
            ),
        )
    ),
    Permit(until=12.5),
    Observed(
        cameras=(CameraReport(camera="a", site="s", epoch=4, profiles={"main": ProfileReport(status="idle")}),),
        whole=True,
        totals={"published": 3},
    ),
]


def stream(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


async def test_messages_come_out_as_they_went_in() -> None:
    reader = stream(b"".join(control.encode(message) for message in MESSAGES))
    assert [await control.read(reader) for _ in MESSAGES] == MESSAGES
    assert await control.read(reader) is None


async def test_settings_survive_the_link() -> None:
    setup = await control.read(stream(control.encode(MESSAGES[0])))
    assert isinstance(setup, Setup)
    assert IngestSettings.model_validate(setup.ingest) == IngestSettings()


def test_no_secret_is_shown() -> None:
    assert "ä:@" not in repr(MESSAGES[1])
    assert "nats_password" not in repr(MESSAGES[0])


@given(st.binary(max_size=60))
def test_anything_else_is_refused_or_the_end(data: bytes) -> None:
    async def read() -> None:
        try:
            assert await control.read(stream(data)) is None or len(data) > 5
        except ValueError:
            return

    asyncio.run(read())


async def test_an_absurd_length_is_refused() -> None:
    with pytest.raises(ValueError, match="control message"):
        await control.read(stream(b"\xff\xff\xff\xff\0"))
