"""A joined site's live video stays below its limit: mains are given up, and begun again where there is room."""

from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import ValidationError

from services.contracts.models import Camera, Profile
from services.contracts.sessions import Aim, Size
from services.mesh.clock import ManualClock
from services.wall.relay.sending.quality import QualityLevel
from services.wall.relay.settings import RelaySettings
from services.wall.relay.sources.conversion import CameraFeeds
from services.wall.relay.sources.feed import FeedHub
from services.wall.relay.sources.live import LiveSource
from services.wall.relay.sources.site_limits import RATE_SECONDS, SiteLimits

RATES_MBPS = {"main": 2.0, "sub": 0.5}


class Wall:
    """Tiles of a relay that show a mall's cameras large; their bytes come as the line gives them."""

    def __init__(self, limit_mbps: float, relays: int = 1) -> None:
        self.clock = ManualClock()
        tasks = SimpleNamespace(create_task=self._no_task)
        self.hub = FeedHub(cast("Any", None), cast("Any", tasks), self.clock)
        self.limits = SiteLimits({"mall": limit_mbps}, self.hub, lambda: relays, self.clock)
        self.feeds = CameraFeeds(self.hub, cast("Any", None), self.limits)
        self.tiles: list[LiveSource] = []
        self.taken_mbps = 0.0
        self.without_sub: set[str] = set()
        """Cameras whose sub gives no picture."""

    @staticmethod
    def _no_task(work: Coroutine[Any, Any, None], name: str) -> object:
        work.close()
        return SimpleNamespace(cancel=lambda: None, name=name)

    def show(self, camera: str, owner_id: str | None = "x", *profiles: str) -> LiveSource:
        url = "" if owner_id else "rtsp://camera.test/1"
        made = {name: Profile(url=url) for name in profiles or ("main", "sub")}
        known = Camera(id=camera, site="mall", name=camera, owner_id=owner_id, profiles=cast("Any", made))
        catch_up = SimpleNamespace(end_stand_in=lambda: None)
        nothing = lambda *_arguments, **_named: None  # noqa: E731 (a stub)
        slot = SimpleNamespace(
            index=0, size=Size(slot=0, width_px=1920, height_px=1080), level=QualityLevel.FULL, catch_up=catch_up,
            leave_steady=nothing, set_notice=nothing, refresh_notice=nothing,
        )  # fmt: skip
        tile = LiveSource(cast("Any", slot), Aim(slot=0, camera=camera), known, None, self.feeds, self.clock)
        tile.start()
        self.tiles.append(tile)
        return tile

    def pass_seconds(self, seconds: int) -> None:
        """Feeds get their bytes, tiles their pictures, and the limits are looked at, each second."""
        for _ in range(seconds):
            self.clock.advance(1.0)
            feeds = self.hub.of_site("mall")
            for feed in feeds:
                feed._on_media(bytes(round(RATES_MBPS[feed.profile] * 125_000)))
                feed._measure()
            self.taken_mbps = sum(feed.bitrate_bps for feed in feeds) / 1e6
            for tile in self.tiles:
                if tile._next is not None and not (tile.camera.id in self.without_sub and tile._next.profile == "sub"):
                    cast("Any", tile)._play = lambda _feed: None  # there is no decoder to please
                    tile._switch()
            self.limits.look()

    @property
    def shown(self) -> list[str]:
        return [tile._shown.profile for tile in self.tiles if tile._shown is not None]


def test_the_main_that_was_begun_last_gives_way_until_the_sites_video_fits() -> None:
    wall = Wall(5.0)
    for number in range(4):
        wall.show(f"cam-{number}")
    wall.pass_seconds(30)
    assert wall.shown == ["main", "main", "sub", "sub"]
    assert wall.taken_mbps == pytest.approx(5.0)
    assert [tile.notice().limited_by for tile in wall.tiles] == ["link", "link", "site", "site"]
    assert [tile.notice().limited for tile in wall.tiles] == ["none", "none", "sub", "sub"]


def test_where_a_main_ends_another_begins_that_fits() -> None:
    wall = Wall(3.0)
    tiles = [wall.show(f"cam-{number}") for number in range(2)]
    wall.pass_seconds(30)
    assert wall.shown == ["main", "sub"]
    tiles[0].close()
    wall.tiles.remove(tiles[0])
    wall.pass_seconds(30)
    wall.hub.sweep()
    wall.pass_seconds(30)
    assert wall.shown == ["main"]


def test_a_tile_that_is_closed_waits_no_more() -> None:
    wall = Wall(1.0)
    tile = wall.show("cam-1")
    wall.pass_seconds(5)
    assert wall.limits._waiting
    tile.close()
    assert not wall.limits._waiting


def test_a_main_that_cannot_be_given_up_does_not_keep_the_others() -> None:
    wall = Wall(3.0)
    wall.show("cam-1")
    wall.show("cam-2")
    wall.without_sub = {"cam-2"}
    wall.pass_seconds(30)
    assert wall.shown == ["sub", "main"]


def test_a_main_that_was_too_large_once_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = Wall(1.0)
    wall.show("cam-1")
    wall.pass_seconds(30)
    assert wall.shown == ["sub"]
    monkeypatch.setitem(RATES_MBPS, "main", 0.3)
    wall.pass_seconds(int(RATE_SECONDS))
    assert wall.shown == ["main"]


def test_relays_share_the_limit() -> None:
    wall = Wall(5.0, relays=2)
    for number in range(2):
        wall.show(f"cam-{number}")
    wall.pass_seconds(30)
    assert wall.shown == ["main", "sub"]


def test_a_camera_without_a_sub_and_one_of_this_mesh_are_not_held() -> None:
    wall = Wall(1.0)
    wall.show("cam-1", "x", "main")
    wall.show("cam-2", None)
    wall.pass_seconds(10)
    assert wall.shown[0] == "main"
    assert not wall.tiles[1]._held_to_sub


def test_limits_are_read_by_site_and_others_are_refused() -> None:
    assert RelaySettings(site_mbps=("mall=8", "office=0.5")).site_limits_mbps == {"mall": 8.0, "office": 0.5}
    for wrong in ("mall", "mall=", "mall=0", "mall=inf", "=3", "Mall=3"):
        with pytest.raises(ValidationError):
            RelaySettings(site_mbps=(wrong,))
