"""HTTPS: the certificate of the front, taken anew when its files change."""

import asyncio
import ssl
from pathlib import Path
from typing import Final

from services.mesh.clock import Clock, sleep
from services.mesh.log import get_logger
from services.mesh.settings import SettingsError

log = get_logger()

LOOK_SECONDS: Final = 2.0

_Print = tuple[tuple[int, int, int], ...]


class ServedCertificate:
    """What new connections are shown. `run` takes changed files; those that do not fit are told and left."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """PEM files; the certificate's has the whole chain. Raises `SettingsError`."""
        self._files = (certificate, key)
        self.context = _context()
        try:
            self._seen: _Print | None = self._print()
            self.context.load_cert_chain(certificate, key)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"https_cert (PANTAU_WALL_HTTPS_CERT) {certificate} and https_key (PANTAU_WALL_HTTPS_KEY) {key} "
                f"cannot be used: {error}"
            ) from error

    def _print(self) -> _Print:
        return tuple((stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in map(Path.stat, self._files))

    def look(self) -> bool:
        """Takes the files where they changed; whether it did."""
        try:
            found = self._print()
            if found == self._seen:
                return False
            _context().load_cert_chain(*self._files)  # one of the two may not be written yet
            self.context.load_cert_chain(*self._files)
        except (OSError, ssl.SSLError) as error:
            if self._seen is not None:
                log.warning("front.certificate_kept", error=error)
            self._seen = None
            return False
        self._seen = found
        log.info("front.certificate_taken", file=str(self._files[0]))
        return True

    async def run(self, clock: Clock) -> None:
        """Looks until it is cancelled."""
        while True:
            await sleep(clock, LOOK_SECONDS)
            await asyncio.to_thread(self.look)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
