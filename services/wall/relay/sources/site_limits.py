"""How much live video of a joined site crosses the line between the two meshes, as far as this relay takes it.

The limit is for live video alone. A main is begun while there is room for it. Where a site's live video takes more than
its limit, the main that was begun last is given up: its tiles show the sub, and their notices say why. There is room
again for a main that fits beside what the others take. A camera without a sub is shown all the same, and so is one
whose main is converted here.

The site's limit is shared evenly by the relays of this mesh. Rates are measured once a second.
"""

from collections.abc import Callable, Mapping
from typing import Final, Protocol, runtime_checkable

from services.contracts.models import Camera, Id
from services.mesh.clock import Clock
from services.mesh.log import get_logger
from services.wall.relay.sources.feed import FeedHub, ProfileFeed

log = get_logger()

SETTLE_SECONDS: Final = 3.0
"""So long after a main was given up or begun no other one is: rates follow late."""
REFUSED_SECONDS: Final = 10.0
"""A main that was given up is not begun again sooner."""
RATE_SECONDS: Final = 600.0
"""So long a rate is believed that is not seen any more: a camera's pictures, or its settings, change."""


@runtime_checkable
class LimitedSource(Protocol):
    """A tile's source that takes the sub where the main has no room."""

    camera: Camera

    def limit_changed(self) -> None:
        """Chooses the profile anew."""


class SiteLimits:
    """`may_show_main` answers; `look` is to be called once a second."""

    def __init__(self, limits_mbps: Mapping[Id, float], hub: FeedHub, relays: Callable[[], int], clock: Clock) -> None:
        """``relays``: how many there are in this mesh."""
        self._limits_bps = {site: mbps * 1e6 for site, mbps in limits_mbps.items()}
        self._hub = hub
        self._relays = relays
        self._now = clock.monotonic
        self._waiting: dict[LimitedSource, None] = {}
        """Sources that show the sub for want of room, in the order of asking."""
        self._rates: dict[Id, tuple[float, float]] = {}
        """Camera → its main's bits a second, as last seen, and when."""
        self._refused_until: dict[Id, float] = {}
        self._settled_at: dict[Id, float] = {}
        """Site → when its rates have followed the last change."""

    def may_show_main(self, source: LimitedSource) -> bool:
        """Whether there is room. Where there is none, the source is told when there is."""
        camera = source.camera
        limit = self._limit(camera.site) if camera.owner_id is not None else None
        if limit is None or self._has_room(camera, limit):
            self._waiting.pop(source, None)
            return True
        self._waiting[source] = None
        return False

    def forget(self, source: LimitedSource) -> None:
        """It waits no more."""
        self._waiting.pop(source, None)

    def look(self) -> None:
        """Gives up one main of each site that takes too much, or lets one begin where there is room."""
        for site in self._limits_bps:
            mains = [feed for feed in self._hub.of_site(site) if feed.profile == "main"]
            for feed in mains:
                if feed.sinks:
                    self._rates[feed.camera] = feed.bitrate_bps, self._now()
                elif self._is_refused(feed.camera):
                    self._hub.end(feed)  # a feed that lingers takes its share of the line
            limit = self._limit(site)
            if limit is None or self._now() < self._settled_at.get(site, float("-inf")):
                continue
            if self._taken(site) > limit:
                self._give_up_one(site, mains)
            else:
                self._begin_one(site, limit)

    def _give_up_one(self, site: Id, mains: list[ProfileFeed]) -> None:
        for feed in reversed(mains):
            if self._is_refused(feed.camera):
                continue  # it has no sub yet, or its viewer cannot decode that
            sources = [sink for sink in feed.sinks if isinstance(sink, LimitedSource)]
            if sources and len(sources) == len(feed.sinks) and "sub" in sources[0].camera.profiles:
                log.info("site_limit.main_given_up", site=site, camera=feed.camera)
                self._refused_until[feed.camera] = self._now() + REFUSED_SECONDS
                self._settled_at[site] = self._now() + SETTLE_SECONDS
                for source in sources:
                    source.limit_changed()
                return

    def _begin_one(self, site: Id, limit: float) -> None:
        for source in list(self._waiting):
            if source.camera.site == site and self._has_room(source.camera, limit):
                self._settled_at[site] = self._now() + SETTLE_SECONDS
                del self._waiting[source]
                source.limit_changed()
                return

    def _limit(self, site: Id) -> float | None:
        """This relay's share, in bits a second."""
        whole = self._limits_bps.get(site)
        return None if whole is None else whole / max(self._relays(), 1)

    def _has_room(self, camera: Camera, limit: float) -> bool:
        if self._is_refused(camera.id):
            return False
        carried = any(feed.profile == "main" and feed.camera == camera.id for feed in self._hub.of_site(camera.site))
        return carried or self._taken(camera.site) + self._rate(camera.id) < limit

    def _rate(self, camera: Id) -> float:
        """What its main would take; 0 where that is not known."""
        bps, at = self._rates.get(camera, (0.0, float("-inf")))
        return bps if self._now() - at < RATE_SECONDS else 0.0

    def _is_refused(self, camera: Id) -> bool:
        return self._now() < self._refused_until.get(camera, float("-inf"))

    def _taken(self, site: Id) -> float:
        return sum(feed.bitrate_bps for feed in self._hub.of_site(site))
