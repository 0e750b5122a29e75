"""What libav's errors mean for an operator. Nothing of an exception's own text is used: it contains the URL."""

import errno
import os
from typing import Final
from urllib.parse import urlsplit

import av.error

from services.contracts.models import Reason
from services.ingest.readers.source import ReaderEnd, Source

_UNREACHABLE: Final = frozenset((errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN))


def end_from_error(error: Exception, source: Source, *, opened: bool) -> ReaderEnd:
    """Why ``source`` is over; ``opened`` says whether it had delivered its description before."""
    where = urlsplit(source.url)
    address = f"{where.hostname}:{where.port}" if where.port else str(where.hostname)
    match error:
        case av.error.HTTPUnauthorizedError():
            if source.username:
                return ReaderEnd(Reason.UNAUTHORIZED, f"{address} does not accept the user name and password (401)")
            return ReaderEnd(Reason.UNAUTHORIZED, f"{address} asks for a user name and password (401)")
        case av.error.HTTPForbiddenError():
            return ReaderEnd(Reason.UNAUTHORIZED, f"{address} does not let this user see {where.path or '/'} (403)")
        case av.error.HTTPNotFoundError():
            return ReaderEnd(Reason.NOT_FOUND, f"{address} has no stream at {where.path or '/'} (404)")
        case av.error.HTTPClientError():
            return ReaderEnd(Reason.REFUSED, f"{address} refuses the request for {where.path or '/'} (4xx)")
        case av.error.HTTPServerError():
            return ReaderEnd(Reason.REFUSED, f"{address} cannot serve the stream now (5xx)")
        case ConnectionRefusedError():
            return ReaderEnd(Reason.REFUSED, f"nothing listens at {address}")
        case ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError() | EOFError():
            return ReaderEnd(Reason.CLOSED, f"{address} closed the connection")
        case TimeoutError() | av.error.ExitError():
            if opened:
                return ReaderEnd(Reason.STALLED, f"{address} keeps the connection but sends nothing")
            return ReaderEnd(Reason.TIMEOUT, f"{address} does not answer in time")
        case av.error.ProtocolNotFoundError() | av.error.DemuxerNotFoundError():
            return ReaderEnd(Reason.BAD_STREAM, f"{where.scheme}:// is not supported by this build of libav")
        case av.error.InvalidDataError() | av.error.PatchWelcomeError():
            return ReaderEnd(Reason.BAD_STREAM, f"what {address} sends is not a stream that can be read")
        case OSError() if error.errno in _UNREACHABLE:
            return ReaderEnd(Reason.UNREACHABLE, f"there is no way to {address} ({os.strerror(error.errno)})")
        case OSError() if not opened:
            return ReaderEnd(Reason.UNREACHABLE, f"{address} cannot be reached or does not speak {where.scheme}")
        case OSError():
            return ReaderEnd(Reason.CLOSED, f"the connection to {address} broke")
        case _:
            return ReaderEnd(Reason.BAD_STREAM, f"libav gave up on {address} ({type(error).__name__})")
