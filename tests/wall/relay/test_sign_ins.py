"""Video lasts no longer than the sign-in that it was opened with."""

import pytest

from services.contracts import subjects
from services.contracts.accounts import SignIn, SignInKind
from services.contracts.permissions import SYSTEM, Role
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.clock import ManualClock
from services.mesh.settings import MeshSettings
from services.wall.relay.app import SIGN_IN_SECONDS
from services.wall.relay.sign_ins import CLOCKS_APART_US, SignInCheck
from tests.eventually import eventually
from tests.wall.front.running import OFFER
from tests.wall.relay.running import running_relay

pytestmark = pytest.mark.integration


def sign_in(name: str, *, expires_us: int = 1 << 60) -> SignIn:
    """Somebody's sign-in."""
    return SignIn(
        id=f"id-{name}",
        account=name,
        role=Role.VIEWER,
        stamp="s",
        kind=SignInKind.BROWSER,
        created_us=0,
        used_us=0,
        expires_us=expires_us,
    )


async def test_a_session_ends_with_its_sign_in_and_others_go_on(bus: Bus, mesh_settings: MeshSettings) -> None:
    bucket = await Bucket.open(bus, subjects.SIGN_INS_BUCKET, SignIn)
    clock = ManualClock()
    budi, ani = sign_in("budi"), sign_in("ani")
    for each in (budi, ani):
        await bucket.create(each.id, each)
    async with running_relay(bus, mesh_settings, clock=clock) as front:
        ending = await front.open(OFFER, actor=budi.actor)
        going_on = [await front.open(OFFER, actor=actor) for actor in (ani.actor, SYSTEM)]
        await bucket.delete(budi.id)

        def over() -> bool:
            clock.advance(SIGN_IN_SECONDS / 50)
            return ending.session not in front.relay.sessions

        await eventually(over)
        assert all(session.session in front.relay.sessions for session in going_on)


async def test_a_sign_in_that_has_expired_is_over_where_no_front_deletes_it(bus: Bus) -> None:
    clock = ManualClock()
    bucket = await Bucket.open(bus, subjects.SIGN_INS_BUCKET, SignIn)
    old, young = sign_in("old", expires_us=clock.now_us()), sign_in("young", expires_us=clock.now_us() + 1)
    for each in (old, young):
        await bucket.create(each.id, each)
    check = SignInCheck(bucket, clock)
    assert await check.over({old.id, young.id, ""}) == set()
    clock.advance((CLOCKS_APART_US + 1) / 1e6)
    assert await check.over({old.id, young.id, ""}) == {old.id}
