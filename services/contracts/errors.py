"""The base of every error that Pantau raises on purpose.

One class carries what each edge needs: a stable ``code`` (the log key and the NATS service error), the HTTP
status of the problem document (RFC 9457), and a message that says the failure, its reason and its remedy.
"""

from typing import ClassVar, Final


class PantauError(Exception):
    """Base of all expected failures.

    ``code`` is stable and lower-case with dashes; clients may match on it. ``status`` is the HTTP status that the
    front answers with. ``retry_after_seconds``, when set, is sent as ``Retry-After``.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_seconds = retry_after_seconds


class InvalidInputError(PantauError):
    """The input cannot be accepted; the message names the field and a valid value."""

    code = "invalid-input"
    status = 422


class NotFoundError(PantauError):
    """There is no such camera, incident, session or moment."""

    code = "not-found"
    status = 404


class ConflictError(PantauError):
    """The thing exists already, or changed in the meantime."""

    code = "conflict"
    status = 409


class ForbiddenError(PantauError):
    """Known, but not allowed."""

    code = "forbidden"
    status = 403


class UnavailableError(PantauError):
    """No service can answer just now; the same question may be answered later."""

    code = "unavailable"
    status = 503


class NobodyThereError(UnavailableError):
    """`UnavailableError`, known at once: nobody listens on the subject, so the asked service has ended."""


class BadOfferError(PantauError):
    """A session's offer cannot be answered; the message says what is missing or wrong. No other relay could."""

    code = "bad-offer"
    status = 406


class TooManyRequestsError(PantauError):
    """The account has as many of these under way as one may have."""

    code = "too-many-requests"
    status = 429


_FROM_PEERS = (
    PantauError,
    InvalidInputError,
    NotFoundError,
    ConflictError,
    ForbiddenError,
    UnavailableError,
    BadOfferError,
    TooManyRequestsError,
)
MAX_PEER_CHARS: Final = 2000
_BY_CODE = {cls.code: cls for cls in _FROM_PEERS}


def error_from_code(code: str, message: str) -> PantauError:
    """The error class of a peer's ``code``; a code that no class above has becomes an `UnavailableError`.

    Of a longer message `MAX_PEER_CHARS` are kept: a peer may be another owner's, and hostile.
    """
    return _BY_CODE.get(code, UnavailableError)(message[:MAX_PEER_CHARS])
