"""``/api/v1/sites``: owners who were invited to this mesh, which is then their hub. The registry keeps them."""

from collections.abc import Iterable
from typing import Literal

from aiohttp import web
from pydantic import BaseModel, Field

from services.contracts import subjects
from services.contracts.models import Camera, Id
from services.contracts.sites import JoinedSite, JoinedSites
from services.mesh.rpc import Nothing
from services.mesh.rpc import call as ask
from services.wall.front.context import FrontRequest
from services.wall.front.http.route import json_response
from services.wall.front.http.times import TimedView, TimeUs


class SiteView(TimedView):
    """A joined site."""

    site: Id
    state: Literal["invited", "linked", "away"]
    since_us: TimeUs = Field(description="Linked or invited: since when. Away: when it was heard last.")
    until_us: TimeUs = Field(description="When the invitation ends, and the connection with it.")
    invited_by: str
    cameras: int = Field(description="How many of its cameras are known here.")

    @classmethod
    def of(cls, site: JoinedSite, cameras: Iterable[Camera]) -> "SiteView":
        """With those of ``cameras`` counted that are the site's."""
        return cls(
            site=site.site,
            state="linked" if site.linked else "away" if site.heard else "invited",
            since_us=site.since_us,
            until_us=site.until_us,
            invited_by=site.invited_by,
            cameras=sum(each.owner_id is not None and each.site == site.site for each in cameras),
        )


class SitesView(BaseModel):
    """All joined sites."""

    sites: list[SiteView]


async def list_sites(request: FrontRequest) -> web.Response:
    """Those that were invited and not revoked, by name."""
    front = request.front
    endpoint = subjects.rpc(front.home, "registry", "sites-list")
    answer = await ask(front.bus, endpoint, Nothing(), JoinedSites, actor=request.actor)
    return json_response(SitesView(sites=[SiteView.of(each, front.cameras.values()) for each in answer.sites]))
