"""The converter's process: access-unit messages come on standard input, others go out on standard output.

Each message stands behind its length, 4 bytes big-endian. The end of the input, which is also that of the relay that
started it, ends the process.
"""

import os
import sys
import threading
from struct import Struct
from typing import BinaryIO, Final, Protocol

from services.mesh.frames import AccessUnit, decode, encode
from services.wall.relay.convert.backlog import Backlog
from services.wall.relay.convert.picture import PictureConverter
from services.wall.relay.convert.sound import SoundConverter

LENGTH: Final = Struct(">I")
NICENESS: Final = 10
"""Converting comes after sending: a relay serves hundreds, a converter one camera's viewers."""


class Converter(Protocol):
    """Pictures or sound."""

    def convert(self, unit: AccessUnit, *, show: bool = True) -> list[AccessUnit]:
        """What ``unit`` makes complete."""


class Worker:
    """Reads in a thread, so that what comes meanwhile is known, and what is late can be left out."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink
        self._backlog = Backlog()
        self._changed = threading.Condition()
        self._ended = False

    def run(self, converter: Converter, *, every_unit: bool) -> None:
        """Until the input ends. ``every_unit``: nothing is left out (sound: each unit counts, and costs little)."""
        threading.Thread(target=self._read, name="reader", daemon=True).start()
        while True:
            with self._changed:
                while not len(self._backlog):
                    if self._ended:
                        return
                    self._changed.wait()
                job = self._backlog.take_next() if every_unit else self._backlog.take()
            for unit in converter.convert(job.unit, show=job.show):
                message = encode(unit)
                self._sink.write(LENGTH.pack(len(message)) + message)
            self._sink.flush()

    def _read(self) -> None:
        while len(head := self._source.read(LENGTH.size)) == LENGTH.size:
            (length,) = LENGTH.unpack(head)
            if len(message := self._source.read(length)) < length:
                break
            with self._changed:
                self._backlog.put(decode(message))
                self._changed.notify()
        with self._changed:
            self._ended = True
            self._changed.notify()


def main(kind: str, epoch: int, max_height_px: int) -> None:
    """``kind``: picture or sound."""
    os.nice(NICENESS)
    sound = kind == "sound"
    converter: Converter = SoundConverter(epoch) if sound else PictureConverter(epoch, max_height_px)
    try:
        Worker(sys.stdin.buffer, sys.stdout.buffer).run(converter, every_unit=sound)
    except BrokenPipeError:  # the relay has gone, and with it whoever might read a message about that
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
