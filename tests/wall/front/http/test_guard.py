"""The guard: other sites' pages, DNS rebinding, proxies."""

from contextlib import suppress

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.errors import PantauError
from services.wall.front.http.errors import ForeignOriginError, MisdirectedError
from services.wall.front.http.guard import Guard, add_headers, host_of, is_loopback

LOCAL = Guard(is_local=lambda: True, allowed_origins=("https://monitor.example",))
OPEN = Guard(is_local=lambda: False)


def check(guard: Guard, method: str = "GET", path: str = "/api/v1/me", **headers: str) -> None:
    """Puts a request through ``guard``; header names are written with underscores."""
    named = {"Host": "127.0.0.1:8080"} | {name.replace("_", "-"): value for name, value in headers.items()}
    guard.check_request(make_mocked_request(method, path, headers=named), cross_origin=path.startswith("/whep/"))


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080", "wall.localhost", "LOCALHOST."]
)
def test_names_of_this_machine_are_served(host: str) -> None:
    # passes if nothing raises
    check(LOCAL, Host=host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "192.168.1.5:8080",
        "localhost.evil.example",
        "",
        "[::2]",
        "0.0.0.0",
    ],
)
def test_a_name_that_was_rebound_to_this_machine_is_not_served_without_accounts(host: str) -> None:
    with pytest.raises(MisdirectedError):
        check(LOCAL, Host=host)
    check(OPEN, Host=host)


@pytest.mark.parametrize("header", ["X_Forwarded_For", "Forwarded", "X_Real_IP"])
def test_what_came_through_a_proxy_is_not_local(header: str) -> None:
    with pytest.raises(MisdirectedError):
        check(LOCAL, "GET", "/", **{header: "203.0.113.9"})
    check(OPEN, "GET", "/", **{header: "203.0.113.9"})


def test_a_page_of_another_site_may_not_change_anything_or_open_a_socket() -> None:
    for method in ("POST", "PATCH", "DELETE"):
        with pytest.raises(ForeignOriginError):
            check(LOCAL, method, Origin="https://evil.example")
        with pytest.raises(ForeignOriginError):
            check(LOCAL, method, Origin="null")
        check(LOCAL, method, Origin="http://127.0.0.1:8080")
        check(LOCAL, method, Origin="https://monitor.example")
        check(LOCAL, method)  # no browser: programs send no Origin
    with pytest.raises(ForeignOriginError):
        check(LOCAL, "GET", Origin="https://evil.example", Upgrade="websocket")
    check(LOCAL, "GET", Origin="http://127.0.0.1:8080", Upgrade="WebSocket")


def test_a_page_of_another_site_may_not_have_pictures_loaded_but_may_link_to_the_app() -> None:
    with pytest.raises(ForeignOriginError):
        check(LOCAL, "GET", "/api/v1/cameras/a/snapshot.jpg", Sec_Fetch_Site="cross-site")
    check(LOCAL, "GET", "/", Sec_Fetch_Site="cross-site")
    check(LOCAL, "GET", "/api/v1/me", Sec_Fetch_Site="same-origin")
    with pytest.raises(ForeignOriginError):
        check(LOCAL, "POST", "/", Sec_Fetch_Site="cross-site")


def test_players_show_their_own_credentials_where_there_are_accounts() -> None:
    check(OPEN, "POST", "/whep/a", Origin="https://any.example")
    with pytest.raises(ForeignOriginError):
        check(OPEN, "POST", "/api/v1/cameras", Origin="https://any.example")
    with pytest.raises(ForeignOriginError):
        check(LOCAL, "POST", "/whep/a", Origin="https://any.example")
    check(LOCAL, "POST", "/whep/a", Origin="http://localhost:5173")


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_host_or_origin_makes_the_guard_fail_or_takes_a_stranger_for_this_machine(host: str, origin: str) -> None:
    headers = {"Host": host, "Origin": origin}
    with suppress(PantauError, ValueError):  # ValueError: aiohttp itself refuses headers with line breaks
        LOCAL.check_request(make_mocked_request("POST", "/", headers=headers), cross_origin=False)
        assert is_loopback(host_of(host))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("::ffff:127.0.0.1", True),
        ("::ffff:8.8.8.8", False),
        ("fe80::1%lo", False),
        ("127.0.0.1%lo", True),
        ("1", False),
    ],
)
def test_addresses_of_this_machine(host: str, expected: bool) -> None:
    assert is_loopback(host) == expected


def test_what_a_browser_keeps_for_one_person_is_not_shown_to_the_next_one() -> None:
    request = make_mocked_request("GET", "/api/v1/cameras/cam-1/snapshot.jpg", headers={"Host": "wall.example"})
    for caching, vary in (
        ("private, max-age=3600", ["Authorization, Cookie"]),
        ("public, max-age=60", []),
        (None, []),
    ):
        answer = web.Response(headers={} if caching is None else {"Cache-Control": caching})
        add_headers(request, answer, OPEN, cross_origin=False)
        assert answer.headers.getall("Vary", []) == vary
        assert answer.headers["Cache-Control"] == (caching or "no-store")
