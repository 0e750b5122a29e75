"""ICE servers: credentials as coturn computes them."""

import hashlib
import hmac
from base64 import b64encode

import pytest

from services.mesh.clock import ManualClock
from services.mesh.settings import SettingsError
from services.wall.front.ice import IceServers, turn_credentials
from services.wall.settings import WallSettings


def test_credentials_follow_the_turn_rest_scheme() -> None:
    username, credential = turn_credentials("north", "budi", 1_700_000_000)
    assert username == "1700000000:budi"
    assert credential == b64encode(hmac.new(b"north", b"1700000000:budi", hashlib.sha1).digest()).decode()


def test_they_end_after_the_time_that_the_setting_says() -> None:
    clock = ManualClock(1_700_000_000_000_000)
    servers = IceServers(["turn:t.example"], "north", 600, clock)
    assert servers.for_viewer("budi")[0].username == "1700000600:budi"
    clock.advance(60)
    assert servers.for_viewer("budi")[0].username == "1700000660:budi"


def test_a_name_cannot_break_out_of_a_link_header() -> None:
    servers = IceServers(["turn:t.example"], "north", 600, ManualClock())
    (link,) = servers.links('b"; rel="stylesheet')
    assert link.count('"') == 8


def test_stun_servers_and_turn_servers_without_a_secret_go_without_credentials() -> None:
    servers = IceServers(["stun:s.example", "turn:t.example"], "", 600, ManualClock())
    assert [server.username for server in servers.for_viewer("budi")] == [None, None]
    assert servers.links("budi") == ['<stun:s.example>; rel="ice-server"', '<turn:t.example>; rel="ice-server"']


@pytest.mark.parametrize("url", ["http://t.example", "turn://t.example", "t.example"])
def test_what_is_no_ice_server_is_refused_at_start(url: str) -> None:
    with pytest.raises(SettingsError, match="ice_servers"):
        WallSettings.load({"PANTAU_WALL_ICE_SERVERS": url})


def test_settings_take_lists_from_the_environment_and_explain_themselves() -> None:
    settings = WallSettings.load(
        {"PANTAU_WALL_ICE_SERVERS": "stun:a, turn:b?transport=tcp", "PANTAU_WALL_ALLOWED_ORIGINS": "https://M.example/"}
    )
    assert settings.ice_servers == ("stun:a", "turn:b?transport=tcp")
    assert settings.allowed_origins == ("https://m.example",)
    for bad in ("8080", "localhost", "::1:8080", "host:99999"):
        with pytest.raises(SettingsError, match="HOST:PORT"):
            WallSettings.load({"PANTAU_WALL_HTTP": bad})
    assert WallSettings.load({"PANTAU_WALL_HTTP": "[::1]:8080"}).listen == ("::1", 8080)
