"""Hatchling's hook: a wheel, and an installation from the source tree, get the send kernel where it can be built."""

import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from services.wall.relay.kernel import build


class SendKernelBuildHook(BuildHookInterface[Any]):
    """Without a compiler the wheel is for any machine, and its relays send with Python."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compiles before files are collected."""
        if trouble := "" if build.is_fresh() else build.try_build():
            build.LIBRARY.unlink(missing_ok=True)
            self.app.display_warning(f"without the send kernel, which halves what a viewer costs: {trouble}")
            return
        if version != "editable":
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{platform}"
