"""The health check of nats-server's container: 0 where it is well.

nats-server leaves a stream in its error after its disk was full, and reads it anew only when it starts. So a server
that cannot write although there is room is asked to end, and the container's restart policy starts it again.
"""

import os
import shutil
import signal
import sys
import urllib.error
import urllib.request

ROOM_BYTES = 16_000_000


def main(url: str, pid: int, store: str) -> int:
    """The exit status; ``pid`` is the server's, ``store`` a folder on its disk."""
    try:
        urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 (the URL below)
    except urllib.error.HTTPError as error:
        if b"write error" in error.read() and shutil.disk_usage(store).free >= ROOM_BYTES:
            os.kill(pid, signal.SIGTERM)
        return 1
    except OSError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main("http://127.0.0.1:8222/healthz", 1, "/data"))
