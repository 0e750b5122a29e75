"""What libav's errors and trace mean for an operator. Nothing of an exception's own text is used: it holds the URL."""

import errno
import os
from typing import Final
from urllib.parse import urlsplit

import av.error

from services.contracts.models import Reason
from services.ingest.readers.libav_trace import MAX_REDIRECTS, LibavTrace
from services.ingest.readers.source import ReaderEnd, Source

_UNREACHABLE: Final = frozenset((errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN))
_NO_NAME: Final = frozenset((errno.EIO, errno.ENOENT, errno.EINVAL))
"""libav's for a name that does not resolve, among other things."""


def address_of(source: Source) -> str:
    """Host and port, without what else stands in the URL."""
    where = urlsplit(source.url)
    try:
        port = where.port
    except ValueError:
        port = None
    return f"{where.hostname}:{port}" if port else str(where.hostname)


def end_of_endless(trace: LibavTrace, source: Source) -> ReaderEnd | None:
    """Why ``source`` is not to be opened any further, where libav would go on for as long as the source does."""
    address = address_of(source)
    if trace.redirects > MAX_REDIRECTS:
        return ReaderEnd(Reason.REDIRECT_LOOP, f"{address} redirects more than {MAX_REDIRECTS} times")
    if trace.endless:
        return ReaderEnd(Reason.BAD_ANSWER, f"{address} sends an answer whose header does not end")
    return None


def end_from_trace(trace: LibavTrace, source: Source) -> ReaderEnd | None:
    """Why ``source`` did not open, where the dialogue says it."""
    if (end := end_of_endless(trace, source)) is not None:
        return end
    address = address_of(source)
    if trace.untrusted:
        return ReaderEnd(Reason.BAD_CERTIFICATE, f"{address} has a certificate that is not trusted")
    match trace.status:
        case 0 if trace.method and not trace.answered and source.is_rtsp:
            return None  # silence or a hang-up: the error says which
        case 401 if trace.challenges and not trace.known_challenge:
            schemes = ", ".join(sorted({challenge.partition(" ")[0] for challenge in trace.challenges}))
            return ReaderEnd(Reason.UNSUPPORTED_AUTH, f"{address} asks for a sign-in that libav lacks ({schemes})")
        case 401 if source.username:
            return ReaderEnd(Reason.UNAUTHORIZED, f"{address} does not accept the user name and password (401)")
        case 401:
            return ReaderEnd(Reason.UNAUTHORIZED, f"{address} asks for a user name and password (401)")
        case 403:
            return ReaderEnd(Reason.UNAUTHORIZED, f"{address} does not let this user see the stream (403)")
        case 404:
            return ReaderEnd(Reason.NOT_FOUND, f"{address} has no such stream (404)")
        case 453:
            return ReaderEnd(Reason.TOO_MANY_CLIENTS, f"{address} serves as many viewers as it can (453)")
        case 461:
            return ReaderEnd(Reason.UNSUPPORTED_TRANSPORT, f"{address} does not offer the transport (461)")
        case status if status >= 300:
            return ReaderEnd(Reason.REJECTED, f"{address} rejects {trace.method or 'the request'} ({status})")
        case _:
            pass
    if trace.media and "video" not in trace.media:
        return ReaderEnd(Reason.BAD_STREAM, f"the source has no video, only {', '.join(trace.media)}")
    return None


def end_from_error(error: Exception, source: Source, *, opened: bool, trace: LibavTrace | None = None) -> ReaderEnd:
    """Why ``source`` is over; ``opened`` says whether it had delivered its description before."""
    trace = trace or LibavTrace()
    address = address_of(source)
    scheme = urlsplit(source.url).scheme
    if not opened and (end := end_from_trace(trace, source)) is not None:
        return end
    match error:
        case av.error.HTTPUnauthorizedError():
            if source.username:
                return ReaderEnd(Reason.UNAUTHORIZED, f"{address} does not accept the user name and password (401)")
            return ReaderEnd(Reason.UNAUTHORIZED, f"{address} asks for a user name and password (401)")
        case av.error.HTTPForbiddenError():
            return ReaderEnd(Reason.UNAUTHORIZED, f"{address} does not let this user see the stream (403)")
        case av.error.HTTPNotFoundError():
            return ReaderEnd(Reason.NOT_FOUND, f"{address} has no such stream (404)")
        case av.error.HTTPClientError():
            return ReaderEnd(Reason.REJECTED, f"{address} rejects the request (4xx)")
        case av.error.HTTPServerError():
            return ReaderEnd(Reason.REJECTED, f"{address} cannot serve the stream now (5xx)")
        case ConnectionRefusedError():
            return ReaderEnd(Reason.REFUSED, f"nothing listens at {address}")
        case ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError() | EOFError():
            return ReaderEnd(Reason.CLOSED, f"{address} closed the connection")
        case TimeoutError() | av.error.ExitError():
            if opened:
                return ReaderEnd(Reason.STALLED, f"{address} keeps the connection but sends nothing")
            return _slow(trace, address)
        case av.error.ProtocolNotFoundError() | av.error.DemuxerNotFoundError():
            return ReaderEnd(Reason.UNSUPPORTED_SCHEME, f"{scheme}:// is not supported by this build of libav")
        case av.error.InvalidDataError() | av.error.PatchWelcomeError():
            return _invalid(trace, address, opened=opened)
        case OSError() if error.errno in _UNREACHABLE:
            detail = f"there is no way to {address} ({os.strerror(error.errno)})"
            return ReaderEnd(Reason.UNREACHABLE, detail)
        case OSError() if not opened and trace.connected:
            return ReaderEnd(Reason.BAD_ANSWER, f"{address} does not answer as {scheme} does")
        case OSError() if not opened and error.errno in _NO_NAME:
            return ReaderEnd(Reason.UNREACHABLE, f"the name {urlsplit(source.url).hostname} does not resolve")
        case OSError() if not opened:
            return ReaderEnd(Reason.UNREACHABLE, f"{address} cannot be reached")
        case OSError():
            return ReaderEnd(Reason.CLOSED, f"the connection to {address} broke")
        case _:
            return ReaderEnd(Reason.BAD_STREAM, f"libav gave up on {address} ({type(error).__name__})")


def _slow(trace: LibavTrace, address: str) -> ReaderEnd:
    """The time for opening is over: how far it came."""
    if not trace.connected:
        return ReaderEnd(Reason.TIMEOUT, f"{address} does not answer in time")
    if trace.method == "PLAY" and trace.status == 200:
        return ReaderEnd(Reason.NO_MEDIA, f"{address} agreed to play and sent nothing")
    if trace.answered:
        return ReaderEnd(Reason.BAD_ANSWER, f"{address} sends an answer to {trace.method} that does not end")
    return ReaderEnd(Reason.NO_ANSWER, f"{address} takes the connection and does not answer")


def _invalid(trace: LibavTrace, address: str, *, opened: bool) -> ReaderEnd:
    """libav calls a hang-up, silence and garbage invalid alike."""
    if not opened and trace.method == "DESCRIBE" and trace.status == 200 and not trace.media:
        return _slow(trace, address)
    if opened or not trace.connected or not trace.failed_reading:
        return ReaderEnd(Reason.BAD_STREAM, f"what {address} sends is not a stream that can be read")
    if trace.failed_reading in ("Connection timed out", "Immediate exit requested"):
        return _slow(trace, address)
    return ReaderEnd(Reason.CLOSED, f"{address} closes the connection before the stream is open")
