"""An ICE-lite agent (RFC 8445, 2.5): answers checks, follows nominations and moves, and ends with consent (RFC 7675).

It does one thing that a lite agent need not do: it answers a peer's check with a check of its own, as a full agent's
triggered checks do (7.3.1.4). The answer to it is what proves an address: it repeats a transaction that only the host
at that address was told. A check of the peer's proves nothing, since its sender may write any address into it. An
address that has not been proven is sent at most `UNPROVEN_FACTOR` times what came from it, and no media.

Peers that nominate at the next tick of a timer (pion: 200 ms) nominate at once when they are checked on a pair that
has proven good, so proven addresses are checked too until the peer has nominated.

Pure: datagrams and times in, answers out.
"""

import secrets
from typing import Final

from services.wall.relay.engine import stun

Address = tuple[str, int] | tuple[str, int, int, int]
"""As the socket gives it: IPv4, or IPv6 with flow and scope."""

CONSENT_SECONDS: Final = 30.0
MAX_PATHS: Final = 8
MAX_CHECKS: Final = 16
"""Of our own to proven addresses of one peer: it has nominated by then, or does not nominate for being checked."""
UNPROVEN_FACTOR: Final = 3
"""As RFC 9000, 8.1 has it for QUIC."""
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def _random_ice_chars(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


class Path:
    """An address that the peer's checks came from, or seem to have come from."""

    __slots__ = ("allowance_bytes", "proven", "transaction", "via")

    def __init__(self) -> None:
        self.transaction = secrets.token_bytes(12)
        """Of all our checks to it: an answer is good for as long as the path is known."""
        self.proven = False
        self.allowance_bytes = 0
        """What may be sent to it before it is proven."""
        self.via = 0
        """Which of our sockets its checks come to: the one that nominates, before that the last one."""

    def on_received(self, size_bytes: int) -> None:
        """So much came from it."""
        self.allowance_bytes += UNPROVEN_FACTOR * size_bytes

    def take(self, size_bytes: int) -> bool:
        """Whether so much may be sent to it; it then counts as sent."""
        if self.proven:
            return True
        if size_bytes > self.allowance_bytes:
            return False
        self.allowance_bytes -= size_bytes
        return True


class IceAgent:
    """One peer's agent on the shared port."""

    def __init__(self, remote_ufrag: str, remote_password: str, now: float) -> None:
        self.ufrag = _random_ice_chars(8)
        self.password = _random_ice_chars(24)
        self._password = self.password.encode("ascii")
        self._username = f"{self.ufrag}:{remote_ufrag}"
        self._check_username = f"{remote_ufrag}:{self.ufrag}"
        self._remote_password = remote_password.encode("ascii")
        self._checks_left = MAX_CHECKS
        self.paths: dict[Address, Path] = {}
        """Addresses that authentic checks named, the most recently named last; at most `MAX_PATHS`."""
        self._nominated: Address | None = None
        self.selected: Address | None = None
        """Where to send: the nominated address once it is proven."""
        self.last_check = now

    def answer(
        self, data: bytes, request: stun.BindingRequest, address: Address, now: float, via: int = 0
    ) -> bytes | None:
        """The answer to a check that names this agent and came to our socket ``via``; None where it is not authentic.
        It is shorter than the check times `UNPROVEN_FACTOR`."""
        if request.username != self._username or not stun.verify(data, request, self._password):
            return None
        if request.controlled:  # RFC 8445, 7.3.1.1: a lite agent is always controlled
            return stun.binding_error(request.transaction, 487, "Role Conflict", self._password)
        self.last_check = now
        path = self.paths.pop(address, None) or Path()
        self.paths[address] = path
        path.on_received(len(data))
        if request.use_candidate or self._nominated != address:
            path.via = via
        if request.use_candidate:
            self._checks_left = 0
            self._nominated = address
        self._select()
        if len(self.paths) > MAX_PATHS:
            used = (self.selected, self._nominated, address)
            del self.paths[next(known for known in self.paths if known not in used)]
        answer = stun.binding_success(request.transaction, address[0], address[1], self._password)
        path.take(len(answer))
        return answer

    def check_in_return(self, address: Address) -> bytes | None:
        """A check of our own, to be sent behind the answer to the peer's from ``address``; None where it would tell
        nothing, or would be more than the address may be sent."""
        path = self.paths.get(address)
        if path is None:
            return None
        if path.proven:
            if not self._checks_left:
                return None
            self._checks_left -= 1
        check = stun.binding_request(path.transaction, self._check_username, self._remote_password, controlled=True)
        return check if path.take(len(check)) else None

    def on_success(self, data: bytes, success: stun.BindingSuccess, address: Address) -> bool:
        """An answer to our check: whether it proves ``address``."""
        path = self.paths.get(address)
        if (
            path is None
            or success.transaction != path.transaction
            or not stun.verify(data, success, self._remote_password)
        ):
            return False
        self.prove(address)
        return True

    def prove(self, address: Address) -> None:
        """The host at ``address`` has said what only a receiver of ours there can know."""
        if (path := self.paths.get(address)) is not None:
            path.proven = True
            self._select()

    def is_proven(self, address: Address | None) -> bool:
        """Whether media may be sent to ``address``."""
        return address is not None and address in self.paths and self.paths[address].proven

    def _select(self) -> None:
        """The nominated address; before it is proven another proven one, and without any the first that was named."""
        if self.is_proven(self._nominated):
            self.selected = self._nominated
        elif not self.is_proven(self.selected):
            proven = [address for address, path in self.paths.items() if path.proven]
            self.selected = proven[-1] if proven else self._nominated or self.selected or next(iter(self.paths))

    def consent_expired(self, now: float) -> bool:
        """Whether the peer has been silent for so long that nothing more may be sent to it."""
        return now - self.last_check > CONSENT_SECONDS
