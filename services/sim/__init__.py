"""Simulated cameras: an RTSP server for demonstrations, tests and load."""

from services.sim.faults import Fault
from services.sim.settings import SimSettings
from services.sim.simulator import Simulator

__all__ = ["Fault", "SimSettings", "Simulator"]
