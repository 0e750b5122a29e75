"""The table of subjects: complete, and as tight as it is said to be."""

import inspect
import re
from pathlib import Path

import pytest

from services.contracts import subjects
from services.contracts.bus_rights import STREAMS, BusRole, UnknownBusRoleError, bus_role, rights, traffic

HOME = "city"
SERVICES = tuple(role for role in BusRole if role is not BusRole.ADMIN)


def test_every_subject_of_the_code_has_a_row() -> None:
    made = {
        name
        for name, function in inspect.getmembers(subjects, inspect.isfunction)
        if not name.startswith("_") and name != "is_id"
    }
    assert {row.name.split()[0] for row in traffic(HOME)} >= made, "enter it in services/contracts/bus_rights.py"


def test_every_bucket_of_the_code_has_a_row() -> None:
    named = {f"KV_{value}" for name, value in vars(subjects).items() if name.endswith("_BUCKET")}
    named |= {value for name, value in vars(subjects).items() if name.endswith("_STREAM")}
    assert named <= {stream.name for stream in STREAMS}, "enter it in services/contracts/bus_rights.py"


def users_of(direction: str, *needles: str) -> set[str]:
    return {
        role
        for role in SERVICES
        for subject in getattr(rights(role, HOME), direction)
        if any(needle in subject for needle in needles)
    }


def test_ingest_alone_publishes_cameras_media_and_relays_and_recorders_alone_read_it() -> None:
    assert users_of("publish", ".media.main.", ".media.sub.", ".media.audio.") == {"ingest"}
    assert users_of("subscribe", ".media.main.") == {"recorder", "relay"}


def test_recorders_alone_tell_of_recordings_but_for_the_daily_promise() -> None:
    assert users_of("publish", ".recording.*.") == {"recorder"}
    assert users_of("publish", ".recording.promise.") == {"registry"}


def test_questions_in_a_persons_name_are_asked_by_fronts_and_by_up_alone() -> None:
    assert users_of("publish", ".rpc.registry.") == {"front", "up"}
    assert users_of("publish", ".rpc.recorder.*.*") == {"front"}


def test_only_the_registry_makes_streams() -> None:
    assert users_of("publish", "STREAM.CREATE", "STREAM.UPDATE", "STREAM.DELETE", "STREAM.PURGE") == {"registry"}


@pytest.mark.parametrize("role", SERVICES)
def test_no_service_may_use_everything_or_listen_to_another_role_s_answers(role: BusRole) -> None:
    allowed = rights(role, HOME)
    for subject in (*allowed.publish, *allowed.subscribe):
        assert not subject.startswith((">", "*", "pantau.>", "pantau.v1.>", "$JS.>", "$JS.API.>", "$KV.>", "$SYS"))
    inboxes = [subject for subject in allowed.subscribe if subject.startswith("_INBOX")]
    assert inboxes == [f"_INBOX.{role}.>"]


def test_an_unknown_role_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownBusRoleError, match="registry, ingest"):
        bus_role("root")


ROOMS = {
    "services/registry": BusRole.REGISTRY,
    "services/ingest": BusRole.INGEST,
    "services/recorder": BusRole.RECORDER,
    "services/wall/front": BusRole.FRONT,
    "services/wall/exports": BusRole.FRONT,
    "services/wall/relay": BusRole.RELAY,
}


@pytest.mark.parametrize("room", ROOMS)
def test_a_service_may_open_the_buckets_that_its_code_names(room: str) -> None:
    kept = {stream.name: stream for stream in STREAMS}
    for path in (Path(__file__).parents[2] / room).rglob("*.py"):
        for name in re.findall(r"subjects\.(\w+_BUCKET)", path.read_text()):
            stream = kept[f"KV_{getattr(subjects, name)}"]
            assert ROOMS[room] in stream.read | stream.write, f"{path.name} opens {stream.name}"
