"""Sign-ins outlive the password changes that they make themselves, and no others; downloads do not outlive them."""

from typing import Any, cast
from unittest.mock import Mock

from services.contracts.accounts import SignIn
from services.contracts.permissions import Role
from services.mesh.clock import ManualClock
from services.wall.front.auth.directory import KnownAccount
from services.wall.front.auth.sign_ins import SignIns
from services.wall.front.context import FrontRequest


class Kept:
    """A bucket in memory, and the one account."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[SignIn, int]] = {}
        self.account = KnownAccount("budi", Role.OPERATOR, "hash", None, "one", "registry")

    async def create(self, key: str, value: SignIn) -> None:
        self.entries[key] = value, 1

    async def get(self, key: str) -> tuple[SignIn, int] | None:
        return self.entries.get(key)

    async def update(self, key: str, value: SignIn, revision: int) -> None:
        self.entries[key] = value, revision + 1

    async def delete(self, key: str) -> None:
        self.entries.pop(key, None)

    def by_name(self, _name: str) -> KnownAccount:
        return self.account


async def test_a_sign_in_that_changes_its_password_again_holds_before_and_after_each_change() -> None:
    kept = Kept()
    sign_ins = SignIns(cast("Any", kept), cast("Any", kept), ManualClock())
    cookie = await sign_ins.open_browser(kept.account, address="192.0.2.1", agent="")
    for stamp in ("two", "three", "four"):
        await sign_ins.let_stay(cookie.id, kept.account.stamp, stamp)
        assert sign_ins.get(cookie.id) is not None, "it ends where the registry does not answer"
        kept.account = kept.account._replace(stamp=stamp)
        assert sign_ins.get(cookie.id) is not None
    kept.account = kept.account._replace(stamp="another's")
    assert sign_ins.get(cookie.id) is None


async def test_a_download_is_cut_when_its_sign_in_ends_and_not_after_its_own_end() -> None:
    kept = Kept()
    sign_ins = SignIns(cast("Any", kept), cast("Any", kept), ManualClock())
    requests = []
    for _ in range(2):
        cookie = await sign_ins.open_browser(kept.account, address="192.0.2.1", agent="")
        found = sign_ins.get(cookie.id)
        assert found is not None
        requests.append(FrontRequest(Mock(), found.actor, Mock(), Mock(identity=Mock(sign_ins=sign_ins))))
    for request in requests:
        with request.cut_at_sign_out():
            cut = cast("Mock", request.raw.transport).abort
            if request is requests[0]:
                await sign_ins.end(request.actor.session)
        await sign_ins.end(request.actor.session)
        assert cut.called is (request is requests[0])
