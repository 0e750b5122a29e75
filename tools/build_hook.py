"""Hatchling's hook: a wheel, and an installation from the source tree, get the kernels where they can be built."""

import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from services.ingest.kernel import build as receive_kernel
from services.mesh.kernel import build as media_kernel
from services.wall.relay.kernel import build as send_kernel


class KernelsBuildHook(BuildHookInterface[Any]):
    """Without a compiler the wheel is for any machine, and Python does what the kernels would."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compiles before files are collected."""
        built = True
        for kernel, loss in (
            (send_kernel, "without the send kernel, which halves what a viewer costs"),
            (receive_kernel, "without the receive kernel, which halves what reading a camera costs"),
            (media_kernel, "without the media kernel, which saves a tenth of what recording a camera costs"),
        ):
            if trouble := "" if kernel.is_fresh() else kernel.try_build():
                kernel.LIBRARY.unlink(missing_ok=True)
                self.app.display_warning(f"{loss}: {trouble}")
                built = False
        if built and version != "editable":
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{platform}"
