"""A relay shows what grants allow, and stops when they do no more."""

import pytest

from services.contracts import subjects
from services.contracts.accounts import SignIn
from services.contracts.models import Reason
from services.contracts.permissions import Actor, Right, Role
from services.contracts.rights import Grant
from services.contracts.sessions import Aim, SlotNotice
from services.mesh.buckets import Bucket
from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from tests.eventually import eventually
from tests.wall.front.running import OFFER
from tests.wall.relay.camera import SITE
from tests.wall.relay.running import Front, running_relay
from tests.wall.relay.test_sign_ins import sign_in

pytestmark = pytest.mark.integration


def shows(front: Front, session: str) -> bool:
    """Whether the session's slot has a source."""
    return front.relay.sessions[session].slots[0].source is not None


def last_reason(front: Front, session: str) -> Reason | None:
    """Why the session's slot shows nothing, as its page was told last."""
    told = [each for each in front.notices[session] if isinstance(each, SlotNotice)]
    return told[-1].reason if told else None


async def test_a_partner_is_shown_what_it_is_granted_and_no_more_once_the_grant_is_gone(
    bus: Bus, mesh_settings: MeshSettings
) -> None:
    police = sign_in("polisi").model_copy(update={"role": Role.AGENCY})
    await (await Bucket.open(bus, subjects.SIGN_INS_BUCKET, SignIn)).create(police.id, police)
    grants = await Bucket.open(bus, subjects.GRANTS_BUCKET, Grant)
    granted = Grant(
        id="grant-1", account="polisi", rights=frozenset({Right.LIVE}), camera="cam-1", site=SITE, purpose="patroli"
    )
    await grants.put(granted.id, granted)
    actor = Actor("polisi", Role.AGENCY, police.id, rights=frozenset({Right.LIVE}))
    async with running_relay(bus, mesh_settings) as front:
        for camera in ("cam-1", "cam-2"):
            await front.add_camera(camera)
        await eventually(lambda: front.relay._cameras.get("cam-2") is not None)
        whep = await front.open(OFFER, Aim(slot=0, camera="cam-1"), kind="whep", actor=actor)
        wall = await front.open(OFFER, Aim(slot=0, camera="cam-1"), actor=actor)
        assert shows(front, wall.session)
        for refused in (Aim(slot=0, camera="cam-2"), Aim(slot=0, camera="cam-1", source="recorded")):
            front.notices[wall.session].clear()
            await front.control(wall.session, refused, actor)
            assert not shows(front, wall.session)
            await eventually(
                lambda: last_reason(front, wall.session) is Reason.NOT_FOUND
            )  # not that the camera is there
        await front.control(wall.session, Aim(slot=0, camera="cam-1"), actor)
        assert shows(front, wall.session)
        await grants.delete(granted.id)
        await eventually(lambda: not shows(front, wall.session) and whep.session not in front.relay.sessions)
        await grants.put(granted.id, granted)
        await eventually(lambda: shows(front, wall.session))
