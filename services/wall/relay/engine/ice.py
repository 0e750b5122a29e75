"""An ICE-lite agent (RFC 8445, 2.5): answers checks, follows nominations and moves, and ends with consent (RFC 7675).

It does one thing that a lite agent need not do: it answers a peer's check with a check of its own, as a full agent's
triggered checks do (7.3.1.4), until the peer has nominated. Peers that nominate at the next tick of a timer (pion: 200
ms) nominate at once when they are checked on a pair that has proven good. It costs others nothing.

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
"""Of our own to one peer: it has nominated by then, or does not nominate for being checked."""
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def _random_ice_chars(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


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
        self.paths: list[Address] = []
        """Addresses that proved to be the peer's, the most recently proven last; at most `MAX_PATHS`."""
        self.selected: Address | None = None
        """Where to send."""
        self.last_check = now
        self.moves = 0

    def answer(self, data: bytes, request: stun.BindingRequest, address: Address, now: float) -> bytes | None:
        """The answer to a check that names this agent; None where it is not authentic."""
        if request.username != self._username or not stun.verify(data, request, self._password):
            return None
        if request.controlled:  # RFC 8445, 7.3.1.1: a lite agent is always controlled
            return stun.binding_error(request.transaction, 487, "Role Conflict", self._password)
        self.last_check = now
        if request.use_candidate:
            self._checks_left = 0
        if not self.paths or self.paths[-1] != address:
            if address in self.paths:
                self.paths.remove(address)
            self.paths.append(address)
        if self.selected is None or (request.use_candidate and self.selected != address):
            self.moves += self.selected is not None
            self.selected = address
        if len(self.paths) > MAX_PATHS:
            oldest = next(path for path in self.paths if path != self.selected)
            self.paths.remove(oldest)
        return stun.binding_success(request.transaction, address[0], address[1], self._password)

    def check_in_return(self) -> bytes | None:
        """A check of our own, to be sent behind the answer to a peer's; None once it has nominated.

        What it is answered with tells nothing that the peer's check did not.
        """
        if not self._checks_left:
            return None
        self._checks_left -= 1
        return stun.binding_request(
            secrets.token_bytes(12), self._check_username, self._remote_password, controlled=True
        )

    def consent_expired(self, now: float) -> bool:
        """Whether the peer has been silent for so long that nothing more may be sent to it."""
        return now - self.last_check > CONSENT_SECONDS
