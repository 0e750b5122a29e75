"""A playing connection's short way: the kernel reads it and takes its pictures, as long as they are usual.

What the kernel works with (packet numbers, clocks, the message's fields) is lent to it: copied into a ``pi_connection``
while pictures follow each other, and copied back before anything in Python looks at it or changes it. So are the
pictures themselves: they stand in a store until they are fetched, some together.
"""

from typing import Final, Protocol

from services.ingest.kernel.engine import KernelEngine
from services.ingest.kernel.library import Connection
from services.ingest.kernel.store import PictureStore
from services.ingest.readers.source import UsualTaker
from services.media.rtp_track import RtpTrack
from services.media.rtsp.framing import RtspFramer
from services.media.rtsp.messages import RtspSyntaxError
from services.mesh.log import get_logger

log = get_logger()

MAX_IDLE_LOANS: Final = 4
"""After so many loans in a row that brought no picture…"""
UNTRIED_LOOKS: Final = 50
"""… Python looks so often before the next."""


class ShortWaySession(Protocol):
    """The session, as far as the short way is concerned."""

    def heard_at(self, arrival_us: int) -> None:
        """Bytes came, and are about to be looked at."""

    def looked(self) -> None:
        """They were looked at."""

    def misread(self, error: RtspSyntaxError) -> None:
        """The connection cannot be read any further."""

    def read_again(self) -> None:
        """The short way is over: the event loop reads the connection."""

    def took_usual(self, count: int, heard_at: float) -> None:
        """So many pictures were taken, the last of which came at ``heard_at`` (`time.monotonic`)."""


class ShortWay:
    """One connection's: a `KernelTaker`, its track's `Borrower`, and a `UsualLoan`. `begin` it, then `close`."""

    def __init__(
        self,
        session: ShortWaySession,
        engine: KernelEngine,
        framer: RtspFramer,
        track: RtpTrack,
        usual: UsualTaker,
        channel: int,
    ) -> None:
        self._session = session
        self._engine = engine
        self._framer = framer
        self._track = track
        self._usual = usual
        self._channel = channel
        self.connection: Connection | None = None
        """What the kernel has of it; None before `begin` and after `close`."""
        self._store: PictureStore | None = None
        self._lent = False
        self._took = False
        self._arrival_us = 0
        self._is_impatient = False
        self._idle_loans = 0
        self._untried = 0

    def begin(self, fd: int) -> None:
        """Reads a connection that the event loop does not read any more. Raises `OSError`."""
        connection = self._engine.connect(fd, self._framer.buffer, self)
        try:
            self._store = PictureStore(connection)
        except OSError:  # no memory
            self._engine.disconnect(connection)
            raise
        self.connection = connection
        self._framer.pictures_first = True
        self._track.receiver.borrower = self
        self._usual.lent(self)
        connection.channel = self._channel
        connection.begin, connection.end = self._framer.span

    def close(self) -> None:
        """The kernel reads no more; what it has read and left stands in the framer."""
        connection, self.connection = self.connection, None
        if connection is not None:
            self._end(connection)
            self._track.receiver.borrower = None
            self._usual.lent(None)
            self._engine.disconnect(connection)
            self._framer.pictures_first = False
            self._framer.span = connection.begin, connection.end

    @property
    def heard_at(self) -> float:
        """When bytes came last, by `time.monotonic`."""
        return 0.0 if self.connection is None else self.connection.heard_us / 1e6

    # the engine's side

    def fetch(self) -> None:
        pictures = None if self._store is None else self._store.fetch()
        if pictures is None:
            return
        self._took = True
        try:
            self._session.took_usual(len(pictures.messages), pictures.arrivals_us[-1] / 1e6)
            self._usual.take_usual(pictures)
        except Exception as error:  # a supervisor: it is called for all cameras, and by those who look at one
            log.exception("ingest.take_failed", error=error)
            self.failed()

    def look(self) -> None:
        self.fetch()  # what Python takes now stands behind it
        connection = self.connection
        if connection is None:
            return
        took, self._took = self._took, False
        at, end, framer = connection.begin, connection.end, self._framer
        try:
            if at < connection.before_end < end:
                # What came before has waited for the rest of a picture in vain, and is dated by then.
                self._hear(connection.before_us)
                self._end(connection)
                was, self._is_impatient = self._is_impatient, True
                at = framer.go_on(at, connection.before_end, took=took)
                self._is_impatient = was
            self._hear(connection.heard_us)
            framer.go_on(at, end, took=took)
        except RtspSyntaxError as error:
            self._session.misread(error)
            return
        framer.tidy()
        connection.begin, connection.end = framer.span
        connection.before_end = 0
        if self._framer.within_message:
            self._end(connection)
        else:
            self._lend(connection)
        self._session.looked()

    def _hear(self, arrival_us: int) -> None:
        self._arrival_us = arrival_us
        self._session.heard_at(arrival_us)

    def look_impatiently(self) -> None:
        """The rest of a picture does not come: Python takes what is there of it."""
        connection = self.connection
        if connection is not None and connection.begin < connection.end:
            self._end(connection)
            self._is_impatient = True
            self.look()
            self._is_impatient = False

    def ended(self) -> None:
        self.look()
        if self.connection is not None:
            self._session.read_again()

    def failed(self) -> None:
        if self.connection is not None:
            self._session.read_again()

    # the loan

    def _lend(self, connection: Connection) -> bool:
        """Whether it is lent."""
        if self._lent:
            return True
        if self._is_impatient or not self._track.lend(connection):
            return False
        if self._untried:
            self._untried -= 1
            return False
        if not self._usual.lend(connection):
            return False
        connection.taken = connection.taken_packets = connection.keyframes = 0
        connection.lent = self._lent = True
        return True

    def take_pictures(self, at: int, end: int) -> int | None:
        connection = self.connection
        if connection is None or not self._lend(connection):
            return None
        connection.begin, connection.end = at, end
        waits = self._engine.take(connection, self._arrival_us)
        place = int(connection.begin)
        return ~place if waits else place

    def end_loan(self) -> None:
        if self._lent:
            self._end(self.connection)
            self._engine.lend_later(self)

    def lend_again(self) -> None:
        connection = self.connection
        if connection is not None and connection.begin == connection.end and not self._framer.within_message:
            self._lend(connection)

    def _end(self, connection: Connection) -> None:
        if not self._lent:
            return
        connection.lent = self._lent = False
        self.fetch()
        if connection.taken:
            self._idle_loans = 0
            self._track.take_back(connection)
            self._usual.take_back(connection)
        else:
            self._idle_loans += 1
            if self._idle_loans == MAX_IDLE_LOANS:
                self._idle_loans, self._untried = 0, UNTRIED_LOOKS
