"""`python -m bench [SECTION …] [--quick]`; without a section, all of them.

Status 1: ``check`` has found a promise missed.
"""

import argparse
import importlib
import os
import platform
import sys
from collections.abc import Callable
from typing import Any

import uvloop

from bench.outages import NAMES as OUTAGES

SECTIONS = {
    "chain": "CPU per camera and latency through the whole product",
    "reading": "the direct reader and libav, CPU and delay",
    "fanout": "viewer-streams per core, against aiortc's own sender",
    "viewer_cost": "instructions and CPU time for one frame to one viewer, with the send kernel and without",
    "peers": "CPU and first keyframes beside MediaMTX and go2rtc, where they are on PATH",
    "memory": "memory of each part, with 64 cameras and 80 viewers",
    "browser": "time to the first and to the live picture in Chromium, and the age of pictures",
    "recording": "CPU per recorded camera, against ffmpeg's segment muxer",
    "outages": "footage through outages: frames lost, seconds until whole, spool (as root)",
    "storage": "bytes on disk, clips against cp, seeking",
    "seek": "from a moment asked for to its picture in Chromium",
    "timeline": "30 days of many cameras",
    "activity": "activity told from the compressed stream",
    "city": "660 and 10,000 cameras' metadata by synthetic workers: the registry's CPU, messages, imports",
    "overload": "1.5 and 3 times the cameras that a worker carries: how many come whole (as root)",
    "machines": "three machines in namespaces that fail in turn: how long no client hears a camera (as root)",
    "sites": "a hub and owners in namespaces: what crosses the line, and how soon a change counts (as root)",
    "hour": "RTSP servers that nobody here wrote for an hour: frames lost, damaged, cameras opened again",
    "shift": "an operator's page for an hour with 36 tiles: its memory, CPU, tiles lost, and time to the next paint",
    "check": "what is promised about time, each against its bound",
}

MORE: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "chain": lambda options: {"cameras": options.cameras},
    "outages": lambda options: {"only": options.only, "cameras": options.cameras},
    "hour": lambda options: {"minutes": options.minutes, "cameras": options.cameras},
    "shift": lambda options: {"minutes": options.minutes},
}
"""What else a section is told, by its name."""


def main() -> None:
    """Runs the sections that were asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", epilog="; ".join(f"{name}: {text}" for name, text in SECTIONS.items())
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"one or more of {', '.join(SECTIONS)}")
    parser.add_argument("--quick", action="store_true", help="shorter runs, rougher figures")
    parser.add_argument("--only", default="", metavar="NAME", choices=OUTAGES, help=f"of outages: {', '.join(OUTAGES)}")
    cameras = "of outages: so many instead of 16; of hour: instead of 32; of chain: so many alone"
    parser.add_argument("--cameras", type=int, default=0, metavar="N", help=cameras)
    parser.add_argument(
        "--minutes", type=float, default=60, metavar="N", help="of hour and shift: so long instead of an hour"
    )
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    print(f"{os.cpu_count()} CPUs, {platform.system()} {platform.machine()}, Python {platform.python_version()}")
    missed = False
    for name in options.sections or SECTIONS:
        print(f"\n## {name}: {SECTIONS[name]}", flush=True)
        more = MORE[name](options) if name in MORE else {}
        missed |= uvloop.run(importlib.import_module(f"bench.{name}").run(quick=options.quick, **more)) is False
    sys.exit(missed)


if __name__ == "__main__":
    main()
