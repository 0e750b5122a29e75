"""Who gets in: the local administrator, accounts by password, token and cookie, and everybody else kept out."""

import asyncio
import threading
from base64 import b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from services.contracts.permissions import Role
from services.mesh.clock import ManualClock, TurnedClock
from services.mesh.settings import MeshSettings, SettingsError
from services.wall.front.api import events
from services.wall.front.auth import accounts, cookies, identity, passwords, sign_ins
from services.wall.front.auth.accounts import Account, AccountsFile
from services.wall.front.auth.cookies import SessionCookie
from services.wall.front.auth.throttle import (
    FREE_ATTEMPTS,
    FREE_OF_ADDRESS,
    FREE_OF_NAME,
    MAX_KEYS,
    SignInThrottle,
    limits_of,
)
from services.wall.front.http.client import Clients
from services.wall.front.http.connections import Connection
from services.wall.front.http.errors import TooManyAttemptsError
from services.wall.front.http.times import rfc3339
from tests.wall.front.running import RunningFront, clock_that_goes, running_front

PASSWORD = "benar kuda baterai"
TOKEN = accounts.new_token()


@pytest.fixture(scope="module")
def people() -> list[Account]:
    """One of each; hashing takes its time, so once."""
    kept = passwords.hash_password(PASSWORD)
    return [
        Account(name="ani", role=Role.VIEWER, password=kept),
        Account(name="budi", role=Role.OPERATOR, password=kept, locale="id"),
        Account(name="citra", role=Role.ADMIN, password=kept),
        Account(name="dasbor", role=Role.AGENCY, token=accounts.hash_token(TOKEN)),
    ]


@pytest.fixture
def accounts_file(tmp_path: Path, people: list[Account]) -> Path:
    """The accounts file with them."""
    path = tmp_path / "accounts.toml"
    accounts.write_accounts(path, people)
    return path


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Returns once ``holds`` does."""
    async with asyncio.timeout(90):
        while not await holds():
            await asyncio.sleep(0.02)


async def signed_in(front: RunningFront, name: str) -> dict[str, str]:
    """The cookie of a browser that has signed in, as headers."""
    async with front.http.post("/api/v1/sign-in", json={"name": name, "password": PASSWORD}) as answer:
        assert answer.status == 204, await answer.text()
        value = answer.cookies[cookies.NAME].value
    front.http.cookie_jar.clear()
    return {"Cookie": f"{cookies.NAME}={value}"}


def basic(name: str, password: str) -> dict[str, str]:
    """A Basic header."""
    return {"Authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}


async def test_nobody_gets_in_without_signing_in(mesh_settings: MeshSettings, accounts_file: Path) -> None:
    async with running_front(mesh_settings, accounts_file=accounts_file) as front:
        for path in ("/api/v1/me", "/api/v1/cameras", "/api/v1/events"):
            async with front.http.get(path) as answer:
                assert (answer.status, (await answer.json())["code"]) == (401, "unauthorized"), path
                assert answer.headers["WWW-Authenticate"].startswith("Basic ")
            async with front.http.get(path, headers={"Sec-Fetch-Mode": "cors"}) as answer:
                assert answer.headers["WWW-Authenticate"].startswith("Bearer"), "a browser would open its own window"
        async with front.http.get("/") as answer:
            assert answer.status == 401
            assert 'name="password"' in await answer.text()
        async with front.http.post("/whep/any", data="v=0", headers={"Content-Type": "application/sdp"}) as answer:
            assert answer.status == 401


async def test_a_password_and_a_token_sign_in_as_their_account(
    mesh_settings: MeshSettings, accounts_file: Path
) -> None:
    async with running_front(mesh_settings, accounts_file=accounts_file) as front:
        async with front.http.get("/api/v1/me", headers=basic("budi", PASSWORD)) as answer:
            me = await answer.json()
            assert (me["name"], me["role"], me["locale"]) == ("budi", "operator", "id")
        async with front.http.get("/api/v1/me", headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
            assert (await answer.json())["role"] == "agency"


@pytest.mark.parametrize(
    "authorization",
    [
        basic("budi", "salah")["Authorization"],
        basic("nobody", PASSWORD)["Authorization"],
        basic("dasbor", "")["Authorization"],
        "Bearer wrong",
        "Bearer",
        "Basic !!!",
        "Digest username=budi",
        "",
    ],
)
async def test_wrong_credentials_are_401(mesh_settings: MeshSettings, accounts_file: Path, authorization: str) -> None:
    async with (
        running_front(mesh_settings, accounts_file=accounts_file) as front,
        front.http.get("/api/v1/me", headers={"Authorization": authorization}) as answer,
    ):
        assert answer.status == 401
        assert PASSWORD not in await answer.text()


async def test_a_role_may_do_what_its_permission_says_and_no_more(
    mesh_settings: MeshSettings, accounts_file: Path
) -> None:
    camera = {"name": "A", "profiles": {"main": {"url": "rtsp://192.0.2.1/"}}}
    async with running_front(mesh_settings, accounts_file=accounts_file) as front:
        async with front.http.post("/api/v1/cameras", json=camera, headers=basic("ani", PASSWORD)) as answer:
            assert (answer.status, (await answer.json())["code"]) == (403, "forbidden")
        async with front.http.post("/api/v1/cameras", json=camera, headers=basic("citra", PASSWORD)) as answer:
            assert answer.status == 503, "the administrator comes as far as the registry, which does not run"


async def test_the_form_signs_a_browser_in_with_a_cookie_that_no_script_and_no_other_site_sees(
    mesh_settings: MeshSettings, accounts_file: Path
) -> None:
    async with running_front(mesh_settings, accounts_file=accounts_file) as front:
        own = {"Origin": front.url}
        form = {"name": "budi", "password": "salah"}
        async with front.http.post("/", data=form, headers=own) as answer:
            assert answer.status == 401
            assert 'value="budi"' in await answer.text()
        form["password"] = PASSWORD
        async with front.http.post("/", data=form, headers=own, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/")
            cookie = answer.headers["Set-Cookie"]
            assert all(part in cookie for part in ("HttpOnly", "SameSite=Strict", "Path=/"))
            value = answer.cookies[cookies.NAME].value
        async with front.http.get("/api/v1/me", headers={"Cookie": f"{cookies.NAME}={value}"}) as answer:
            assert (await answer.json())["name"] == "budi"
        for broken in (value[:-1] + ("0" if value[-1] != "0" else "1"), value.replace(".", ""), "a.b.c", "é"):
            async with front.http.get("/api/v1/me", headers={"Cookie": f"{cookies.NAME}={broken}"}) as answer:
                assert answer.status == 401, broken
        async with front.http.post("/sign-out", headers=own, allow_redirects=False) as answer:
            assert answer.status == 303
            assert "Max-Age=0" in answer.headers["Set-Cookie"]


async def test_a_page_of_another_site_cannot_sign_anybody_in(mesh_settings: MeshSettings, accounts_file: Path) -> None:
    async with running_front(mesh_settings, accounts_file=accounts_file) as front:
        form = {"name": "budi", "password": PASSWORD}
        async with front.http.post("/", data=form, headers={"Origin": "https://evil.example"}) as answer:
            assert (answer.status, (await answer.json())["code"]) == (403, "foreign-origin")


async def test_an_account_that_is_added_or_removed_counts_without_a_restart(
    mesh_settings: MeshSettings, accounts_file: Path, people: list[Account]
) -> None:
    clock = TurnedClock()
    async with running_front(mesh_settings, accounts_file=accounts_file, clock=clock) as front:
        token = {"Authorization": f"Bearer {TOKEN}"}
        async with front.http.get("/api/v1/me", headers=token) as answer:
            assert answer.status == 200
        accounts.write_accounts(accounts_file, [person for person in people if person.name != "dasbor"])
        clock.advance(1)
        async with front.http.get("/api/v1/me", headers=token) as answer:
            assert answer.status == 401
        await asyncio.to_thread(accounts_file.write_text, "not = [toml")  # a slip must not lock everybody out
        clock.advance(1)
        async with front.http.get("/api/v1/me", headers=basic("budi", PASSWORD)) as answer:
            assert answer.status == 200


async def test_guessing_is_slowed_down_for_that_name_alone(mesh_settings: MeshSettings, accounts_file: Path) -> None:
    # The clock stands: on a slow machine so many hashes take longer than the time in which an attempt is forgiven.
    async with running_front(mesh_settings, accounts_file=accounts_file, clock=ManualClock()) as front:
        statuses = []
        for attempt in range(FREE_ATTEMPTS + 1):
            async with front.http.get("/api/v1/me", headers=basic("ani", f"tebakan {attempt}")) as answer:
                statuses.append(answer.status)
        assert statuses == [401] * FREE_ATTEMPTS + [429]
        assert int(answer.headers["Retry-After"]) > 0
        async with front.http.get("/api/v1/me", headers=basic("budi", PASSWORD)) as answer:
            assert answer.status == 200


def test_a_throttle_forgives_with_time_and_stays_bounded() -> None:
    clock = ManualClock()
    throttle = SignInThrottle(clock)
    limits = (("a", FREE_ATTEMPTS),)
    for _ in range(FREE_ATTEMPTS):
        throttle.take_attempt(limits)
    with pytest.raises(TooManyAttemptsError):
        throttle.take_attempt(limits)
    clock.advance(7)
    throttle.take_attempt(limits)
    for number in range(2 * MAX_KEYS):
        throttle.take_attempt(((str(number), FREE_ATTEMPTS),))
    assert len(throttle._buckets) == MAX_KEYS


def test_an_address_runs_out_of_attempts_before_it_keeps_a_name_from_others() -> None:
    throttle = SignInThrottle(ManualClock())
    for number in range(FREE_OF_ADDRESS):
        throttle.take_attempt(limits_of("2001:db8::1", f"name-{number}", None))
    with pytest.raises(TooManyAttemptsError):
        throttle.take_attempt(limits_of("2001:db8::2", "budi", None))  # one host has all of a /64
    throttle.take_attempt(limits_of("2001:db8:0:1::1", "budi", None))
    for number in range(FREE_OF_NAME):
        throttle.take_attempt(limits_of(f"192.0.2.{number}", "citra", None))
    with pytest.raises(TooManyAttemptsError):
        throttle.take_attempt(limits_of("198.51.100.1", "citra", None))
    throttle.take_attempt(limits_of("198.51.100.1", "citra", "known browser"))


async def test_a_wall_that_is_looked_at_stays_signed_in_and_one_that_is_left_does_not(
    mesh_settings: MeshSettings, accounts_file: Path
) -> None:
    clock = ManualClock()
    async with running_front(mesh_settings, accounts_file=accounts_file, clock=clock) as front:
        watching, leaving = await signed_in(front, "budi"), await signed_in(front, "ani")

        async def renewed() -> bool:
            async with front.http.get("/api/v1/sessions", headers=watching) as answer:
                (session,) = (await answer.json())["sessions"]
                expires: str = session["expires"]
                return expires == rfc3339(clock.now_us() + sign_ins.LIFETIME_SECONDS * 1_000_000)

        for _ in range(2):
            await until(renewed)
            clock.advance(sign_ins.LIFETIME_SECONDS * 0.6)
        await until(renewed)
        async with front.http.get("/api/v1/me", headers=leaving) as answer:
            assert answer.status == 401


async def test_a_session_ends_at_every_front_when_it_is_signed_out_and_its_cookie_cannot_be_replayed(
    mesh_settings: MeshSettings, accounts_file: Path
) -> None:
    async with (
        running_front(mesh_settings, accounts_file=accounts_file) as front,
        running_front(mesh_settings, accounts_file=accounts_file) as other,
    ):
        budi = await signed_in(front, "budi")
        async with other.http.get("/api/v1/me", headers=budi) as answer:
            assert (await answer.json())["name"] == "budi", "another front does not know the session"
        async with other.http.get("/api/v1/events", headers=budi) as stream:
            assert stream.status == 200
            async with front.http.post("/sign-out", headers=budi, allow_redirects=False) as answer:
                assert answer.status == 303
            await stream.content.read()  # to its end

        async def refused() -> bool:
            statuses = []
            for each in (front, other):
                async with each.http.get("/api/v1/me", headers=budi) as answer:
                    statuses.append(answer.status)
            return statuses == [401, 401]

        await until(refused)


async def test_one_sees_ones_own_sessions_and_ends_them_and_nobody_elses(
    mesh_settings: MeshSettings, accounts_file: Path
) -> None:
    async with running_front(mesh_settings, accounts_file=accounts_file) as front:
        here, there, ani = [await signed_in(front, name) for name in ("budi", "budi", "ani")]

        async def sessions(headers: dict[str, str], query: str = "") -> list[dict[str, object]]:
            async with front.http.get(f"/api/v1/sessions{query}", headers=headers) as answer:
                assert answer.status == 200, await answer.text()
                found: list[dict[str, object]] = (await answer.json())["sessions"]
                return found

        async def both() -> bool:
            return len(await sessions(here)) == 2

        await until(both)
        (other,) = [each for each in await sessions(here) if not each["current"]]
        async with front.http.delete(f"/api/v1/sessions/{other['id']}", headers=ani) as answer:
            assert answer.status == 404, "anybody ends anybody's session"
        async with front.http.get("/api/v1/sessions?account=budi", headers=ani) as answer:
            assert answer.status == 403
        assert len(await sessions(basic("citra", PASSWORD), "?account=budi")) == 2
        async with front.http.delete(f"/api/v1/sessions/{other['id']}", headers=here) as answer:
            assert answer.status == 204
        async with front.http.get("/api/v1/me", headers=there) as answer:
            assert answer.status == 401
        async with front.http.delete("/api/v1/sessions/current", headers=here) as answer:
            assert answer.status == 204
        async with front.http.get("/api/v1/me", headers=here) as answer:
            assert answer.status == 401


async def test_a_stranger_cannot_keep_a_known_browser_out(
    mesh_settings: MeshSettings, accounts_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[web.BaseRequest] = []
    monkeypatch.setattr(identity, "keep_connection", kept.append)
    async with running_front(mesh_settings, accounts_file=accounts_file, clock=ManualClock()) as front:
        async with front.http.post("/api/v1/sign-in", json={"name": "ani", "password": PASSWORD}) as answer:
            device = answer.cookies[cookies.DEVICE].value
        statuses: set[int] = set()
        guess = {"name": "ani", "password": "tebakan"}
        while 429 not in statuses:
            async with front.http.post("/api/v1/sign-in", json=guess, headers={"Cookie": "a=b"}) as answer:
                statuses.add(answer.status)
        assert not kept, "strangers' connections make no room for a known browser's"
        right = {"name": "ani", "password": f"{PASSWORD} "}  # wrong by a blank, so that it is not remembered as right
        known = {"Cookie": f"{cookies.DEVICE}={device}"}
        async with front.http.post("/api/v1/sign-in", json=right, headers=known) as answer:
            assert answer.status == 401, "a known browser has to wait for a stranger's guesses"
        assert len(kept) == 1
        async with front.http.get("/api/v1/me", headers=basic("ani", PASSWORD)) as answer:
            assert answer.status == 200
        assert len(kept) == 2


async def test_a_flood_of_sign_ins_is_refused_at_once_and_the_wall_goes_on(
    mesh_settings: MeshSettings, accounts_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = threading.Event()

    def compare(_password: str, _kept: str) -> bool:
        return not hashed.wait(90)

    monkeypatch.setattr(identity, "password_matches", compare)
    async with running_front(mesh_settings, accounts_file=accounts_file) as front:

        async def guess(number: int) -> int:
            form = {"name": f"nama-{number}", "password": "tebakan"}
            async with front.http.post("/api/v1/sign-in", json=form) as answer:
                if answer.status == 503:
                    assert (await answer.json())["code"] == "busy"
                    assert answer.headers["Retry-After"]
                return answer.status

        guesses = [asyncio.create_task(guess(number)) for number in range(30)]
        while sum(each.done() for each in guesses) < 20:  # ten have a place
            await asyncio.sleep(0.02)
        async with front.http.get("/api/v1/me") as answer:
            assert answer.status == 401
        hashed.set()
        statuses = await asyncio.gather(*guesses)
        assert (statuses.count(503), statuses.count(401)) == (20, 10)


async def test_a_program_whose_first_requests_come_all_at_once_is_not_taken_for_one_that_guesses(
    mesh_settings: MeshSettings, accounts_file: Path
) -> None:
    async with running_front(mesh_settings, accounts_file=accounts_file) as front:

        async def ask() -> int:
            async with front.http.get("/api/v1/me", headers=basic("ani", PASSWORD)) as answer:
                return answer.status

        assert set(await asyncio.gather(*(ask() for _ in range(30)))) == {200}


def test_a_cookie_is_marked_secure_where_the_browser_came_over_tls_to_a_trusted_proxy() -> None:
    peer = {"peername": ("10.0.0.5", 1)}
    for trusted, headers, secure in (
        (("10.0.0.0/24",), {}, False),
        (("10.0.0.0/24",), {"X-Forwarded-Proto": "https"}, True),
        (("10.0.0.0/24",), {"Forwarded": "for=192.0.2.1;proto=https"}, True),
        ((), {"X-Forwarded-Proto": "https"}, False),
    ):
        response = web.Response()
        transport = Mock()
        transport.get_extra_info = lambda key, default=None: peer.get(key, default)
        request = make_mocked_request("GET", "/", headers=headers, transport=transport)
        cookies.set_session(request, response, Clients(trusted), SessionCookie.new())
        assert bool(response.cookies[cookies.NAME]["secure"]) == secure, (trusted, headers)


async def test_a_connection_of_the_local_administrator_makes_room_for_nobody() -> None:
    transport = Mock()
    transport.get_extra_info = lambda key, default=None: {"peername": ("127.0.0.1", 1)}.get(key, default)
    protocol = Mock(spec=Connection, transport=transport, peername=("127.0.0.1", 1))
    who = identity.Identity(Mock(is_empty=True), Mock(), Clients(()), ManualClock(), local=True)
    request = make_mocked_request("GET", "/", transport=transport, protocol=protocol)
    assert await who.identify(request) is not None
    protocol.keep.assert_called_once()
    who.close()


def test_the_accounts_file_is_written_for_its_owner_alone_and_read_back(tmp_path: Path, people: list[Account]) -> None:
    path = tmp_path / "deep" / "accounts.toml"
    accounts.write_accounts(path, people)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(accounts.read_accounts(path).values()) == people
    assert PASSWORD not in path.read_text()
    assert TOKEN not in path.read_text()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no account"),
        ("[[account]]\nname = 'a'\nrole = 'king'", "account.0.role"),
        ("[[account]]\nname = 'a'\nrole = 'admin'\npassword = 'plain'", "pantau accounts add"),
        ("[[account]]\nname = 'a b'\nrole = 'admin'", "account.0.name"),
        ("[[account]]\nname = 'a'\nrole = 'admin'\n[[account]]\nname = 'a'\nrole = 'viewer'", "two accounts"),
        ("= nonsense", "not TOML"),
    ],
)
async def test_an_accounts_file_that_cannot_be_used_is_refused_at_start(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "accounts.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=says):
        AccountsFile(path, ManualClock())
    with pytest.raises(SettingsError, match="no accounts file"):
        AccountsFile(tmp_path / "missing.toml", ManualClock())


async def test_a_stream_ends_when_its_account_is_gone(
    mesh_settings: MeshSettings, accounts_file: Path, people: list[Account]
) -> None:
    clock = TurnedClock()
    async with (
        running_front(mesh_settings, accounts_file=accounts_file, clock=clock) as front,
        front.http.get("/api/v1/events", headers={"Authorization": f"Bearer {TOKEN}"}) as stream,
    ):
        assert stream.status == 200
        accounts.write_accounts(accounts_file, people[:3])
        async with clock_that_goes(clock, events.BEAT_SECONDS):
            await stream.content.read()  # to its end


async def test_a_programs_token_does_what_it_is_for_until_it_is_taken_back(
    mesh_settings: MeshSettings, accounts_file: Path
) -> None:
    clock = ManualClock()
    async with running_front(mesh_settings, accounts_file=accounts_file, clock=clock) as front:
        citra = await signed_in(front, "citra")

        async def made(**fields: object) -> tuple[str, dict[str, str]]:
            body = {"name": "papan", "expires": rfc3339(clock.now_us() + 86_400_000_000)} | fields
            async with front.http.post("/api/v1/tokens", json=body, headers=citra) as answer:
                assert answer.status == 201, await answer.text()
                given = await answer.json()
                return given["id"], {"Authorization": f"Bearer {given['token']}"}

        async def status(headers: dict[str, str], path: str = "/api/v1/me", method: str = "GET") -> int:
            async with front.http.request(method, path, headers=headers) as answer:
                return answer.status

        whole_id, whole = await made()
        _, lists = await made(rights=["catalogue"])
        assert [await status(whole, path) for path in ("/api/v1/accounts", "/api/v1/cameras")] == [200, 200]
        assert await status(lists, "/api/v1/cameras") == 200
        for path in ("/api/v1/accounts", "/api/v1/tokens", "/api/v1/sessions", "/api/v1/incidents"):
            assert await status(lists, path) == 403, path
        async with front.http.post("/api/v1/tokens", json={"name": "x", "expires": "2099-01-01T00:00:00Z"}) as answer:
            assert answer.status == 401
        assert await status(citra, f"/api/v1/tokens/{whole_id}", "DELETE") == 204
        assert await status(whole) == 401
        assert await status({"Authorization": "Bearer pantau_0123456789ab.aaaaaaaaaaaaaaaaaaaaaaaa"}) == 401
        clock.advance(86_401)
        assert await status(lists) == 401, "it goes on after its end"
