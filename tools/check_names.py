"""Fails where two public classes in ``services/`` have one name, or a module has no docstring.

Grep finds a class by its name, so the name stands once. `typing.Protocol` classes are exempt: a seam is named after the
part that it stands for, on its user's side.
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent
SEAMS: Final = {
    "NalType": "media/h264.py and media/h265.py: the same table for either codec",
    "ParameterSets": "media/h264.py and media/h265.py: one seam, chosen by codec",
    "Sps": "media/h264.py and media/h265.py: one seam, chosen by codec",
}
"""Names that two modules share on purpose, with the reason."""


def _is_protocol(definition: ast.ClassDef) -> bool:
    """Whether it is a ``typing.Protocol`` (also ``Protocol[T]``), which ``asyncio.Protocol`` is not."""
    return any(ast.unparse(base).partition("[")[0] in ("Protocol", "typing.Protocol") for base in definition.bases)


def public_classes(tree: ast.Module) -> Iterator[str]:
    """The names of a module's public classes, Protocols left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not _is_protocol(node):
            yield node.name


def findings(sources: Mapping[str, str]) -> list[str]:
    """What is wrong with ``sources`` (path → text), one line each."""
    found: list[str] = []
    places: dict[str, list[str]] = defaultdict(list)
    for path, text in sorted(sources.items()):
        tree = ast.parse(text)
        if tree.body and ast.get_docstring(tree) is None:
            found.append(f"{path}:1: the module has no docstring")
        for name in public_classes(tree):
            places[name].append(path)
    for name, paths in sorted(places.items()):
        if len(paths) > 1 and name not in SEAMS:
            found.append(f"{paths[0]}: class {name} also stands in {', '.join(paths[1:])}; qualify it by its noun")
    return found


def main() -> int:
    """Returns the exit status."""
    files = sorted((ROOT / "services").rglob("*.py"))
    found = findings({str(path.relative_to(ROOT)): path.read_text() for path in files})
    print("\n".join(found) or f"{len(files)} modules: each public class name stands once")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
