"""Fails where a tracked file names a path of somebody's machine, or the host of a package registry.

Both work for whoever wrote them, and for nobody else.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BINARY = {".png", ".jpg", ".ico", ".woff2", ".mp4", ".h264", ".bin"}
PATTERNS = {
    "a path of one machine": re.compile(r"(?<![\w.$}*<-])/(?:root|work|home/\w+|Users/\w+)/"),
    "a registry's host": re.compile(
        # Each name is broken by a group, so that this file does not hold what it looks for.
        r"\b(?:pypi[.]org|files[.]python(?:hosted)|registry[.]npm(?:js)|registry[.]yarn(?:pkg)|deb[.]debian[.]org|"
        r"crates[.]io|"
        r"proxy\.golang|repo1?\.maven)"
    ),
    "where a lock file found a package": re.compile(r'^\s*"resolved": "https?:', re.MULTILINE),
    "an index of one's own": re.compile(r"--(?:extra-)?index-url|--find-links|--registry[= ]"),
}


def findings(name: str, text: str) -> list[str]:
    """What stands in ``text`` that should not, one line each."""
    return [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {what}: {match[0].strip()}"
        for what, pattern in PATTERNS.items()
        for match in pattern.finditer(text)
    ]


def main() -> int:
    """Returns the exit status."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    found: list[str] = []
    for name in names:
        path = ROOT / name
        if name and path.suffix not in BINARY and path != Path(__file__).resolve() and path.is_file():
            found += findings(name, path.read_text(errors="replace"))
    print("\n".join(found) or "no machine paths, no registry hosts")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
