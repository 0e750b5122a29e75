"""Fails where a tracked file names a path of one machine, a package registry's host, or a file that is not in the tree.

The first two work on their author's machine only; the third is left behind by a move.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BINARY = {".png", ".jpg", ".webp", ".ico", ".woff2", ".mp4", ".h264", ".bin"}
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
OUR_FILE = re.compile(
    r"(?<![\w/.-])(?:services|tests|tools|deploy|docs|bench)/[\w./-]*\.(?:py|md|json|sql|toml|ts|yaml)\b"
)


def findings(name: str, text: str) -> list[str]:
    """The forbidden texts in ``text``, one line each."""
    return [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {what}: {match[0].strip()}"
        for what, pattern in PATTERNS.items()
        for match in pattern.finditer(text)
    ]


def stale_paths(name: str, text: str, root: Path = ROOT) -> list[str]:
    """The files that ``text`` names and that are not below ``root``, one line each."""
    return [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: no such file: {match[0]}"
        for match in OUR_FILE.finditer(text)
        if not (root / match[0]).exists()
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
            text = path.read_text(errors="replace")
            found += findings(name, text)
            if not name.startswith("tests/tools/"):  # its tests invent files
                found += stale_paths(name, text)
    print("\n".join(found) or "no machine paths, no registry hosts, no files that are gone")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
