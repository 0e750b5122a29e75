"""Wall sessions over a real bus: placing, routing by id, refusals."""

import asyncio
import json
from collections import Counter

import pytest

from services.contracts.errors import BadOfferError, UnavailableError
from services.contracts.models import WorkerLease
from services.contracts.sessions import Aim, carried
from services.contracts.subjects import is_id
from services.mesh.settings import MeshSettings
from services.wall.app import MAX_RELAY_NAME
from services.wall.front import relays
from tests.eventually import eventually
from tests.wall.front.running import OFFER, running_front, stub_relay

PATH = "/api/v1/wall/sessions"


async def test_a_json_offer_is_answered_with_201_location_and_json(mesh_settings: MeshSettings) -> None:
    async with running_front(mesh_settings) as front, stub_relay(mesh_settings) as relay:
        aims = [Aim(slot=0, camera="cam-1").model_dump(mode="json")]
        async with front.http.post(PATH, json={"sdp": OFFER, "slots": aims}) as answer:
            body = await answer.json()
            assert answer.status == 201
            assert answer.headers["Location"] == f"{PATH}/{body['id']}"
        assert body["sdp"].startswith("v=0")
        assert body["control"] == f"{PATH}/{body['id']}/control"
        assert body["relay"] == "relay-1"
        assert relay.opened[0].aims == (Aim(slot=0, camera="cam-1"),)
        assert relay.opened[0].client == "local"


async def test_a_raw_sdp_offer_is_answered_with_sdp(mesh_settings: MeshSettings) -> None:
    async with (
        running_front(mesh_settings) as front,
        stub_relay(mesh_settings),
        front.http.post(PATH, data=OFFER, headers={"Content-Type": "application/sdp"}) as answer,
    ):
        assert (answer.status, answer.content_type) == (201, "application/sdp")
        assert (await answer.text()).startswith("v=0")


async def test_the_least_loaded_relay_gets_the_session_and_a_draining_one_none(mesh_settings: MeshSettings) -> None:
    async with (
        running_front(mesh_settings) as front,
        stub_relay(mesh_settings, "busy", load=50) as busy,
        stub_relay(mesh_settings, "idle", load=10) as idle,
        stub_relay(mesh_settings, "leaving", load=0, draining=True) as leaving,
    ):
        for _ in range(3):
            async with front.http.post(PATH, json={"sdp": OFFER}) as answer:
                assert answer.status == 201
        assert (len(busy.opened), len(idle.opened), len(leaving.opened)) == (0, 3, 0)


async def test_a_relay_that_refuses_or_is_dead_is_passed_over(mesh_settings: MeshSettings) -> None:
    async with (
        running_front(mesh_settings) as front,
        stub_relay(mesh_settings, "dead") as dead,
        stub_relay(mesh_settings, "full") as full,
        stub_relay(mesh_settings, "well", load=90) as well,
    ):
        await dead.die()  # its lease still stands
        full.refuse = UnavailableError("full")
        async with front.http.post(PATH, json={"sdp": OFFER}) as answer:
            assert (answer.status, (await answer.json())["relay"]) == (201, "well")
        assert len(well.opened) == 1


async def test_where_the_only_relay_was_killed_a_viewer_waits_for_the_one_that_is_started_in_its_place(
    mesh_settings: MeshSettings,
) -> None:
    async with running_front(mesh_settings) as front, stub_relay(mesh_settings, "killed") as killed:
        await killed.die()
        asking = asyncio.create_task(front.http.post(PATH, json={"sdp": OFFER}))
        await asyncio.sleep(0.5)
        assert not asking.done()
        async with stub_relay(mesh_settings, "next"), await asking as answer:
            assert (answer.status, (await answer.json())["relay"]) == (201, "next")


async def test_an_offer_that_a_relay_took_with_it_when_it_was_killed_is_answered_by_its_successor(
    mesh_settings: MeshSettings,
) -> None:
    async with running_front(mesh_settings) as front, stub_relay(mesh_settings, "killed") as killed:
        killed.answering.clear()
        asking = asyncio.create_task(front.http.post(PATH, json={"sdp": OFFER}))
        await eventually(lambda: len(killed.opened) == 1)
        await killed.die()
        async with stub_relay(mesh_settings, "next"), await asking as answer:
            assert (answer.status, (await answer.json())["relay"]) == (201, "next")
        killed.answering.set()


async def test_a_viewer_waits_although_the_last_relay_s_lease_has_ended_before(mesh_settings: MeshSettings) -> None:
    async with running_front(mesh_settings) as front, stub_relay(mesh_settings, "gone") as gone:
        async with front.http.post(PATH, json={"sdp": OFFER}) as answer:
            assert answer.status == 201
        await gone.die(release=True)
        asking = asyncio.create_task(front.http.post(PATH, json={"sdp": OFFER}))
        await asyncio.sleep(0.5)
        assert not asking.done()
        async with stub_relay(mesh_settings, "next"), await asking as answer:
            assert (answer.status, (await answer.json())["relay"]) == (201, "next")


async def test_without_any_relay_the_answer_is_503_with_retry_after(mesh_settings: MeshSettings) -> None:
    async with running_front(mesh_settings) as front, front.http.post(PATH, json={"sdp": OFFER}) as answer:
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.content_type == "application/problem+json"


async def test_an_offer_that_a_relay_cannot_answer_is_406_and_not_tried_elsewhere(mesh_settings: MeshSettings) -> None:
    async with (
        running_front(mesh_settings) as front,
        stub_relay(mesh_settings, "relay-1") as first,
        stub_relay(mesh_settings, "relay-2", load=1) as second,
    ):
        first.refuse = BadOfferError("no codec in common")
        async with front.http.post(PATH, json={"sdp": OFFER}) as answer:
            assert (answer.status, (await answer.json())["code"]) == (406, "bad-offer")
        assert not second.opened


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        ("{", "application/json", 400, "bad-request"),
        ("{}", "application/json", 422, "invalid-input"),
        (json.dumps({"sdp": OFFER, "slots": [{"slot": 64}]}), "application/json", 422, "invalid-input"),
        (json.dumps({"sdp": "hello"}), "application/json", 406, "bad-offer"),
        ("v=0\r\nm=audio 9 RTP/AVP 0\r\n", "application/sdp", 406, "bad-offer"),
        (OFFER, "text/plain", 415, "unsupported-type"),
        (b"\xff\xfe", "application/sdp", 400, "bad-request"),
        ("v" * 600_000, "application/sdp", 413, "too-large"),
    ],
)
async def test_what_cannot_be_an_offer_is_refused_before_any_relay(
    mesh_settings: MeshSettings, body: str, content_type: str, status: int, code: str
) -> None:
    async with running_front(mesh_settings) as front, stub_relay(mesh_settings) as relay:
        async with front.http.post(PATH, data=body, headers={"Content-Type": content_type}) as answer:
            problem = await answer.json()
            assert (answer.status, problem["status"], problem["code"]) == (status, status, code)
            assert problem["detail"]
        assert not relay.opened


async def test_a_session_can_be_closed_once_and_unknown_ones_are_404(mesh_settings: MeshSettings) -> None:
    async with running_front(mesh_settings) as front, stub_relay(mesh_settings) as relay:
        async with front.http.post(PATH, json={"sdp": OFFER}) as answer:
            session = (await answer.json())["id"]
        async with front.http.delete(f"{PATH}/{session}") as answer:
            assert answer.status == 204
        assert relay.closed == [session]
        for unknown in (session, "nonsense", "gone-relay--0123456789abcdef", "Not-An-Id"):
            async with front.http.delete(f"{PATH}/{unknown}") as answer:
                assert answer.status == 404, unknown
                assert (await answer.json())["code"] == "not-found"


async def test_any_front_routes_to_a_session_that_another_front_opened(mesh_settings: MeshSettings) -> None:
    async with (
        running_front(mesh_settings) as first,
        running_front(mesh_settings) as second,
        stub_relay(mesh_settings) as relay,
    ):
        async with first.http.post(PATH, json={"sdp": OFFER}) as answer:
            session = (await answer.json())["id"]
        async with second.http.delete(f"{PATH}/{session}") as answer:
            assert answer.status == 204
        await eventually(lambda: relay.closed == [session])


def test_a_session_id_is_an_id_that_names_its_relay_even_with_the_longest_name() -> None:
    for name in ("r", "relay-1", "a--b", "x" * MAX_RELAY_NAME):
        session = relays.new_session(name)
        assert is_id(session)
        assert relays.relay_of(session) == name


def test_ranking_counts_what_was_placed_since_the_lease_said_how_full_the_relay_is() -> None:
    def lease(name: str, load: float, *, draining: bool = False) -> WorkerLease:
        return WorkerLease(role="relay", worker=name, incarnation=1, capacity=100, load=load, draining=draining)

    leases = [lease("a", 2), lease("b", 1), lease("c", 0, draining=True)]
    assert [entry.worker for entry in relays.rank_relays(leases, Counter())] == ["b", "a"]
    assert [entry.worker for entry in relays.rank_relays(leases, Counter({"b": 2}))] == ["a", "b"]


def test_of_relays_with_loads_alike_the_one_that_carries_most_of_the_cameras_is_taken() -> None:
    def lease(worker: str, load: float, *cameras: str) -> WorkerLease:
        return WorkerLease(
            role="relay", worker=worker, incarnation=1, capacity=100, load=load, detail={"cameras": carried(cameras)}
        )

    wanted = {"cam-1", "cam-2"}
    leases = [lease("a", 10), lease("b", 11, "cam-1"), lease("c", 12, "cam-1", "cam-2"), lease("d", 13, *wanted)]
    assert [entry.worker for entry in relays.rank_relays(leases, Counter(), wanted)] == ["c", "b", "a", "d"]
    assert [entry.worker for entry in relays.rank_relays(leases, Counter({"c": 3}), wanted)] == ["b", "a", "d", "c"]
    assert relays.rank_relays([], Counter(), wanted) == []
