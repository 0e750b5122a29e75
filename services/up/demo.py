"""The simulated cameras of ``--demo``: what the ``sim`` child is asked for, and its cameras in the catalogue."""

from typing import Any

from services.mesh.bus import Bus


def sim_arguments(plan: Any) -> list[str]:
    return ["--cameras", str(plan.demo_cameras)]


async def register(bus: Bus, plan: Any) -> None:
    pass
