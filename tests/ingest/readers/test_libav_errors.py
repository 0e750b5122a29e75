"""Reasons: each end of a source has one, and no secret in its detail."""

import errno
import os

import av.error
import pytest

from services.contracts.models import Reason
from services.ingest.readers.libav_errors import end_from_error
from services.ingest.readers.source import Source

SOURCE = Source("rtsp://10.1.2.3:554/stream?x=1", username="admin", password="hunter2")
URL = "rtsp://admin:hunter2@10.1.2.3:554/stream?x=1"


def os_error(number: int) -> Exception:
    return av.error.OSError(number, os.strerror(number), URL)


@pytest.mark.parametrize(
    ("error", "opened", "reason"),
    [
        (av.error.HTTPUnauthorizedError(1, "x", URL), False, Reason.UNAUTHORIZED),
        (av.error.HTTPForbiddenError(1, "x", URL), False, Reason.UNAUTHORIZED),
        (av.error.HTTPNotFoundError(1, "x", URL), False, Reason.NOT_FOUND),
        (av.error.HTTPOtherClientError(1, "x", URL), False, Reason.REJECTED),
        (av.error.HTTPServerError(1, "x", URL), False, Reason.REJECTED),
        (av.error.ConnectionRefusedError(errno.ECONNREFUSED, "x", URL), False, Reason.REFUSED),
        (av.error.ConnectionResetError(errno.ECONNRESET, "x", URL), True, Reason.CLOSED),
        (av.error.BrokenPipeError(errno.EPIPE, "x", URL), True, Reason.CLOSED),
        (av.error.EOFError(1, "x", URL), True, Reason.CLOSED),
        (av.error.TimeoutError(errno.ETIMEDOUT, "x", URL), False, Reason.TIMEOUT),
        (av.error.TimeoutError(errno.ETIMEDOUT, "x", URL), True, Reason.STALLED),
        (av.error.ExitError(1, "x", URL), False, Reason.TIMEOUT),
        (av.error.ExitError(1, "x", URL), True, Reason.STALLED),
        (av.error.InvalidDataError(1, "x", URL), False, Reason.BAD_STREAM),
        (av.error.ProtocolNotFoundError(1, "x", URL), False, Reason.UNSUPPORTED_SCHEME),
        (os_error(errno.EHOSTUNREACH), False, Reason.UNREACHABLE),
        (os_error(errno.ENETUNREACH), False, Reason.UNREACHABLE),
        (os_error(errno.EIO), False, Reason.UNREACHABLE),
        (os_error(errno.EIO), True, Reason.CLOSED),
        (av.error.UndefinedError(1, "x", URL), False, Reason.BAD_STREAM),
    ],
)
def test_each_error_has_a_reason_and_keeps_the_secret(error: Exception, opened: bool, reason: Reason) -> None:
    end = end_from_error(error, SOURCE, opened=opened)
    assert end.reason is reason
    assert end.detail
    assert "hunter2" not in end.detail


def test_a_missing_password_and_a_wrong_one_are_told_apart() -> None:
    error = av.error.HTTPUnauthorizedError(1, "x", URL)
    assert "asks for" in end_from_error(error, Source("rtsp://h/x"), opened=False).detail
    assert "does not accept" in end_from_error(error, SOURCE, opened=False).detail
