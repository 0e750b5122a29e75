"""What an owner granted to its hub, and when nats-server takes it."""

import time
from pathlib import Path

import pytest

from services.contracts.errors import InvalidInputError
from services.contracts.permissions import Right
from services.mesh import leaf_nodes
from services.mesh.authority import CITY, Authority
from services.mesh.hub import MAX_PURPOSE_CHARS, Hub
from services.mesh.hub_grants import ALL, HubGrant, Window, counting, needed, read
from services.mesh.nats_claims import AccountClaims, AccountLimits, Import, read_claims
from services.mesh.settings import MeshSettings

NOW = 1000


@pytest.mark.parametrize(
    ("for_all", "left"),
    [
        (Window(), []),
        (Window(100, 200), []),
        (Window(0, 150), [Window(150, 200)]),
        (Window(150, 0), [Window(100, 150)]),
        (Window(120, 150), [Window(100, 120), Window(150, 200)]),
        (Window(0, 100), [Window(100, 200)]),
        (Window(200, 0), [Window(100, 200)]),
    ],
)
def test_a_camera_counts_by_itself_only_while_not_all_cameras_do(for_all: Window, left: list[Window]) -> None:
    """nats-server would pass on each frame twice."""
    gate = HubGrant("gate", Right.LIVE, Window(100, 200))
    every = HubGrant(ALL, Right.LIVE, for_all)
    assert counting(gate, [every, gate]) == left
    assert counting(every, [every, gate]) == [for_all]
    assert counting(gate, [HubGrant(ALL, Right.CLIP), gate]) == [gate.window]


def test_an_endless_grant_goes_on_behind_that_of_all_cameras() -> None:
    gate = HubGrant("gate", Right.LIVE)
    assert counting(gate, [HubGrant(ALL, Right.LIVE, Window(0, 200))]) == [Window(200, 0)]


def test_what_is_over_or_said_twice_is_not_kept() -> None:
    every, over = HubGrant(ALL, Right.LIVE), HubGrant("yard", Right.CLIP, Window(0, NOW))
    later = HubGrant("gate", Right.CLIP, Window(NOW + 1))
    assert needed([later, over, HubGrant("gate", Right.LIVE), every], NOW) == (every, later)


def test_grants_are_read_as_each_version_wrote_them() -> None:
    grant = HubGrant("gate", Right.CLIP, Window(1, 2), "the robbery")
    assert read({"grants": [grant.as_json()]}) == (grant,)
    live = HubGrant("gate", Right.LIVE)
    assert read({"granted": {"gate": ["live", "clip"]}}) == (live, HubGrant("gate", Right.CLIP))
    assert read({"cameras": ["gate"]}) == (live,)
    assert read({}) == ()


def test_a_grant_says_its_times_and_its_purpose() -> None:
    grant = HubGrant("gate", Right.CLIP, Window(0, 1_800_000_000), "the robbery")
    assert str(grant) == "clip until 2027-01-15T08:00:00+00:00 (the robbery)"
    assert grant.told() == {"right": "clip", "until": "2027-01-15T08:00:00+00:00", "purpose": "the robbery"}
    assert str(HubGrant("gate", Right.LIVE)) == "live"


def test_nats_server_takes_only_what_holds_now(tmp_path: Path) -> None:
    authority, now_s = Authority.open(tmp_path, "city"), int(time.time())
    city = authority.account_key(CITY).public
    windows = {"now": (0, 0), "over": (0, now_s - 1), "later": (now_s + 86400, 0), "within": (1, now_s + 86400)}
    imports = tuple(Import(name, city, "stream", "", *window) for name, window in windows.items())
    authority.save_account(leaf_nodes.HUB_ACCOUNT, AccountClaims(AccountLimits(), imports=imports))
    taken = read_claims(authority.account_jwt(leaf_nodes.HUB_ACCOUNT))["nats"]["imports"]
    assert [each["subject"] for each in taken] == ["now", "within"]


@pytest.mark.parametrize(
    ("window", "purpose"),
    [(Window(0, NOW), ""), (Window(1 << 40, 1 << 39), ""), (Window(), "x" * (MAX_PURPOSE_CHARS + 1))],
)
@pytest.mark.asyncio
async def test_a_grant_that_never_counts_or_says_too_much_is_refused(
    tmp_path: Path, window: Window, purpose: str
) -> None:
    hub = Hub(Authority.open(tmp_path, "city"), MeshSettings())
    with pytest.raises(InvalidInputError):
        await hub.grant(["gate"], window=window, purpose=purpose)


@pytest.mark.asyncio
async def test_a_mesh_that_joined_no_hub_tells_nothing(tmp_path: Path) -> None:
    await Hub(Authority.open(tmp_path, "city"), MeshSettings(nats_url="nats://127.0.0.1:1")).follow_times()
