"""Fails on "whoever" and "whatever", which leave a sentence without a subject, and on docstrings that only refer.

Both make readers decode a text. A docstring says its contract.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
SUFFIXES: Final = {".py", ".ts", ".md"}
ITS_OWN: Final = ("tools/check_prose.py", "tests/tools/test_check_prose.py")
RIDDLE: Final = re.compile(r"\b(?:who|what)ever\b", re.IGNORECASE)
ONLY_SEE: Final = re.compile(r"See `[^`]+`(?:, `[^`]+`)*\.?")
_DOCUMENTED: Final = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def findings(name: str, text: str) -> list[str]:
    """The offending places of a file, one line each."""
    found = [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]!r}: name the subject"
        for match in RIDDLE.finditer(text)
    ]
    if name.endswith(".py"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, _DOCUMENTED) and ONLY_SEE.fullmatch(ast.get_docstring(node) or ""):
                line = getattr(node, "lineno", 1)
                found.append(f"{name}:{line}: the docstring only points elsewhere; say the contract, or leave it out")
    return found


def main() -> int:
    """Returns the exit status."""
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")  # fmt: skip
    found: list[str] = []
    for name in names:
        path = ROOT / name
        if path.suffix in SUFFIXES and name not in ITS_OWN and path.is_file():
            found += findings(name, path.read_text())
    print("\n".join(found) or "every sentence names its subject")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
