"""The front's own refusals. Other errors come from the services as a `PantauError`."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from services.contracts.errors import InvalidInputError, PantauError


class FieldError(NamedTuple):
    """One field of a request's body or query that cannot be accepted."""

    field: str
    message: str


class FieldsError(InvalidInputError):
    """Some fields cannot be accepted; ``fields`` names each."""

    def __init__(self, fields: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{field}: {message}" if field else message for field, message in fields))
        self.fields = tuple(fields)


class FrontError(PantauError):
    """Base of the front's own refusals. ``headers`` go with the answer."""

    def __init__(
        self, message: str, *, retry_after_seconds: int | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)
        self.headers = dict(headers or {})


class BadRequestError(FrontError):
    """The request cannot be read at all."""

    code: ClassVar[str] = "bad-request"
    status: ClassVar[int] = 400


class UnauthorizedError(FrontError):
    """The request has no credentials, or wrong ones."""

    code: ClassVar[str] = "unauthorized"
    status: ClassVar[int] = 401


class ForeignOriginError(FrontError):
    """A page of another site made the request."""

    code: ClassVar[str] = "foreign-origin"
    status: ClassVar[int] = 403


class NoFootageError(FrontError):
    """Nothing is recorded of the camera at that moment; ``Pantau-Nearest`` says where the nearest footage is."""

    code: ClassVar[str] = "no-footage"
    status: ClassVar[int] = 404


class NotAcceptableError(FrontError):
    """The offer cannot be answered, or the answer would be of a type that the client does not take."""

    code: ClassVar[str] = "not-acceptable"
    status: ClassVar[int] = 406


class NotLiveError(FrontError):
    """The camera is known but delivers nothing just now."""

    code: ClassVar[str] = "not-live"
    status: ClassVar[int] = 409


class NotReadyError(FrontError):
    """The export has no file, or not yet."""

    code: ClassVar[str] = "not-ready"
    status: ClassVar[int] = 409


class RangeError(FrontError):
    """``Range`` begins behind the end of the file."""

    code: ClassVar[str] = "range-not-satisfiable"
    status: ClassVar[int] = 416


class PreconditionFailedError(FrontError):
    """``If-Match`` names another ICE session than this one."""

    code: ClassVar[str] = "precondition-failed"
    status: ClassVar[int] = 412


class TooLargeError(FrontError):
    """The body is larger than this path takes."""

    code: ClassVar[str] = "too-large"
    status: ClassVar[int] = 413


class UnsupportedTypeError(FrontError):
    """The body's ``Content-Type`` is not one that this path takes."""

    code: ClassVar[str] = "unsupported-type"
    status: ClassVar[int] = 415


class MisdirectedError(FrontError):
    """The ``Host`` is not a name of this machine: without accounts only loopback is served (against DNS rebinding)."""

    code: ClassVar[str] = "misdirected"
    status: ClassVar[int] = 421


class IceRestartError(FrontError):
    """A relay is ICE-lite and never restarts ICE (RFC 9725, section 4.3.3): open a new session instead."""

    code: ClassVar[str] = "no-ice-restart"
    status: ClassVar[int] = 422


class TooManyAttemptsError(FrontError):
    """Too many wrong passwords or tokens from there."""

    code: ClassVar[str] = "too-many-attempts"
    status: ClassVar[int] = 429


class UpgradeRequiredError(FrontError):
    """The path speaks WebSocket."""

    code: ClassVar[str] = "upgrade-required"
    status: ClassVar[int] = 426


class BusyError(FrontError):
    """More sign-ins wait than may; nothing was tried."""

    code: ClassVar[str] = "busy"
    status: ClassVar[int] = 503


class CodeNeededError(UnauthorizedError):
    """The password is right, and the account has a second factor: send its code, too."""

    code: ClassVar[str] = "code-needed"
