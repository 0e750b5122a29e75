"""The process that makes one export: `services.wall.exports.making`."""

import asyncio
import os
import sys
import threading
import time
from typing import Final

from services.contracts.errors import NotFoundError, PantauError, UnavailableError
from services.mesh.log import configure, get_logger
from services.mesh.settings import MeshSettings
from services.wall.exports.making import ExportOrder, ExportReport, make

log = get_logger()
NICENESS: Final = 10
"""Recording and watching go first."""
TELL_SECONDS: Final = 0.5
ALIVE_SECONDS: Final = 3.0


class Reporter:
    """Writes reports: progress at most every `TELL_SECONDS`, and every `ALIVE_SECONDS` also where there is none."""

    def __init__(self) -> None:
        self._told = 0.0
        self._progress = ExportReport(progress=0.0)
        self._lock = threading.Lock()
        threading.Thread(target=self._say_alive, name="alive", daemon=True).start()

    def tell(self, report: ExportReport) -> None:
        """Writes one."""
        with self._lock:
            if report.progress is not None:
                self._progress = report
                if time.monotonic() - self._told < TELL_SECONDS:
                    return
            self._told = time.monotonic()
            sys.stdout.write(report.model_dump_json() + "\n")
            sys.stdout.flush()

    def _say_alive(self) -> None:
        while True:
            time.sleep(ALIVE_SECONDS)
            self.tell(self._progress)


def main() -> None:
    """Makes what standard input orders."""
    os.nice(NICENESS)
    order = ExportOrder.unpack(sys.stdin.buffer.read())
    mesh = MeshSettings.model_validate(order.mesh)
    configure("export", level=mesh.log_level, format=mesh.log_format)
    reporter = Reporter()
    try:
        made = asyncio.run(make(order, reporter.tell))
        reporter.tell(ExportReport(made=made))
    except PantauError as error:
        code = "no-footage" if isinstance(error, NotFoundError) else error.code
        reporter.tell(ExportReport(failed=error.message, code=code, again=isinstance(error, UnavailableError)))
    except OSError as error:
        log.exception("export.failed", job=order.job.id, error=error)
        reporter.tell(ExportReport.of_disk(error))


if __name__ == "__main__":
    main()
