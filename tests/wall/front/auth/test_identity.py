"""Who gets in: the local administrator, accounts by password, token and cookie, and everybody else kept out."""

import asyncio
from base64 import b64encode
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from services.contracts.permissions import Role
from services.mesh.clock import ManualClock, TurnedClock
from services.mesh.settings import MeshSettings, SettingsError
from services.wall.front.api import events
from services.wall.front.auth import accounts, cookies
from services.wall.front.auth.accounts import Account, AccountsFile
from services.wall.front.auth.identity import AccountsIdentity
from services.wall.front.auth.throttle import FREE_ATTEMPTS, MAX_KEYS, SignInThrottle
from services.wall.front.http.errors import TooManyAttemptsError
from tests.wall.front.running import clock_that_goes, running_front

PASSWORD = "benar kuda baterai"
TOKEN = accounts.new_token()


@pytest.fixture(scope="module")
def people() -> list[Account]:
    """One of each; hashing takes its time, so once."""
    kept = accounts.hash_password(PASSWORD)
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
        for broken in (value[:-1] + ("0" if value[-1] != "0" else "1"), value.replace(".", "", 1), "a.b.c", "é"):
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
    for _ in range(FREE_ATTEMPTS):
        throttle.check_allowed("a")
        throttle.note_failure("a")
    with pytest.raises(TooManyAttemptsError):
        throttle.check_allowed("a")
    clock.advance(7)
    throttle.check_allowed("a")
    for number in range(2 * MAX_KEYS):
        throttle.note_failure(str(number))
    assert len(throttle._buckets) == MAX_KEYS


def test_a_cookie_ends_with_its_time_and_with_its_password(people: list[Account]) -> None:
    budi = people[1]
    value = cookies.issue_cookie(budi, 1000)
    assert cookies.claimed_name(value) == "budi"
    assert cookies.expiry(value, budi, 1001) == 1000 + cookies.LIFETIME_SECONDS
    assert cookies.expiry(value, budi, 1000 + cookies.LIFETIME_SECONDS) is None
    changed = budi.model_copy(update={"password": accounts.hash_password("lain sekali")})
    assert cookies.expiry(value, changed, 1001) is None
    assert cookies.expiry(value, people[0], 1001) is None


async def test_a_wall_that_is_looked_at_stays_signed_in_and_one_that_is_left_does_not(accounts_file: Path) -> None:
    clock = ManualClock()
    identity = AccountsIdentity(AccountsFile(accounts_file, clock), clock)

    def request(value: str) -> web.Request:
        return make_mocked_request("GET", "/api/v1/me", headers={"Cookie": f"{cookies.NAME}={value}"})

    first = request(cookies.issue_cookie(accounts.read_accounts(accounts_file)["budi"], clock.now_us() // 1_000_000))
    assert identity.renewal(first) is None
    clock.advance(cookies.LIFETIME_SECONDS * 0.6)
    fresh = identity.renewal(first)
    assert fresh is not None
    clock.advance(cookies.LIFETIME_SECONDS * 0.6)
    assert await identity.identify(first) is None
    assert identity.renewal(first) is None
    assert await identity.identify(first, going_on=True) == ("budi", Role.OPERATOR), "its stream goes on"
    assert await identity.identify(request(fresh)) == ("budi", Role.OPERATOR)


def test_a_cookie_is_marked_secure_where_the_browser_came_over_tls() -> None:
    for headers, secure in (({}, False), ({"X-Forwarded-Proto": "https"}, True)):
        response = web.Response()
        cookies.set_cookie(make_mocked_request("GET", "/", headers=headers), response, "v")
        assert bool(response.cookies[cookies.NAME]["secure"]) == secure


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
