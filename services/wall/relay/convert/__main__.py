"""The converter's process: access-unit messages come on standard input, others go out on standard output.

`services.wall.relay.convert.framing` describes the messages. The process ends with its input, and that ends with the
relay that started it.
"""

import os
import sys
import threading
from typing import BinaryIO, Final, Protocol

from services.contracts.frames import AccessUnit, decode, encode
from services.wall.relay.convert.backlog import Backlog
from services.wall.relay.convert.framing import LENGTH, SHOW, Task
from services.wall.relay.convert.picture import PictureConverter
from services.wall.relay.convert.sound import SoundConverter

NICENESS: Final = 10
"""Sending goes first: a relay serves hundreds of viewers, a converter those of one camera. It holds from the
first picture on: a viewer waits for that one, and beside busy neighbours it would take a second longer."""


class Converter(Protocol):
    """Pictures or sound."""

    def convert(self, unit: AccessUnit, *, show: bool = True) -> list[AccessUnit]:
        """The access units that ``unit`` completes."""


def give_way() -> None:
    """Lets others go first from now on."""
    if (more := NICENESS - os.nice(0)) > 0:
        os.nice(more)


class ConverterWorker:
    """Converts while a thread reads, so that the backlog is known and late pictures can be skipped."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink
        self._backlog = Backlog()
        self._changed = threading.Condition()
        self._ended = False

    def run(self, converter: Converter, *, every_unit: bool) -> None:
        """Until the input ends. ``every_unit``: nothing is skipped, as for sound, whose units cost little."""
        threading.Thread(target=self._read, name="reader", daemon=True).start()
        while True:
            with self._changed:
                while not len(self._backlog):
                    if self._ended:
                        return
                    self._changed.wait()
                job = self._backlog.take_every_job() if every_unit else self._backlog.take_job()
            units = converter.convert(job.unit, show=job.show)
            for message in map(encode, units):
                self._sink.write(LENGTH.pack(len(message)) + message)
            self._sink.flush()
            if units:
                give_way()

    def _read(self) -> None:
        while len(head := self._source.read(LENGTH.size)) == LENGTH.size:
            (length,) = LENGTH.unpack(head)
            if len(message := self._source.read(length)) < length:
                break
            with self._changed:
                self._backlog.add_unit(decode(message))
                self._changed.notify()
        with self._changed:
            self._ended = True
            self._changed.notify()


def answer(source: BinaryIO, sink: BinaryIO, converter: PictureConverter) -> None:
    """Footage: answers request after request until the input ends."""
    while len(head := source.read(LENGTH.size)) == LENGTH.size:
        (length,) = LENGTH.unpack(head)
        request = source.read(length)
        if len(request) < length:
            return
        units = converter.convert(decode(request[1:]), show=request[:1] == SHOW) if request else converter.flush()
        for message in (*map(encode, units), b""):
            sink.write(LENGTH.pack(len(message)) + message)
        sink.flush()
        if units:
            give_way()


def main() -> None:
    """Does the `Task` on standard input; nothing where that ends before one."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    if len(head := source.read(LENGTH.size)) < LENGTH.size:
        return
    task = Task.unpack(source.read(*LENGTH.unpack(head)))
    try:
        if task.kind == "sound":
            ConverterWorker(source, sink).run(SoundConverter(task.epoch), every_unit=True)
        elif task.kind == "picture":
            ConverterWorker(source, sink).run(
                PictureConverter(task.epoch, task.max_height_px, task.masks), every_unit=False
            )
        else:
            answer(source, sink, PictureConverter(task.epoch, task.max_height_px, task.masks))
    except BrokenPipeError:  # the relay has gone, and nobody is left to read a message
        os._exit(0)


if __name__ == "__main__":
    main()
