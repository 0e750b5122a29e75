"""Has libraries do without others that they import only where those are installed, and that no service uses.

A process with a bus and a log would else hold 10 MB of them.
"""

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Final

_SPARED: Final = {
    "nats.aio.transport": "aiohttp",  # for WebSockets
    "structlog.dev": "rich",  # for tracebacks that show locals
}
"""Module → what it tries to import."""


class _SparingLoader(Loader):
    """Loads a module while another cannot be imported."""

    def __init__(self, loader: Loader, spared: str) -> None:
        self._loader = loader
        self._spared = spared

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        with _hidden(self._spared):
            self._loader.exec_module(module)


class _SparingFinder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spared = _SPARED.get(fullname)
        if spared is None:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _SparingLoader(spec.loader, spared)
        return spec


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Where it was imported before, it is not hidden: there is nothing to spare any more."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # "import" then raises ModuleNotFoundError (Python's reference, 5.3.1)
    try:
        yield
    finally:
        del sys.modules[name]


def install() -> None:
    """Does so for what is imported from now on."""
    sys.meta_path.insert(0, _SparingFinder())


def give_websockets(transport: ModuleType) -> None:
    """Lets ``nats.aio.transport`` have what it was spared."""
    for name in ("aiohttp", "multidict"):
        setattr(transport, name, importlib.import_module(name))
