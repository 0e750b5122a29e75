"""Simulated cameras: an RTSP server for demonstrations, tests and load.

A test begins with `services.sim.simulator.Simulator` and `services.sim.settings.SimSettings`; `services.sim.faults`
lists the faults; `stamp` and `marker` in `services.sim.pictures` read which frame it is, from the stream and
from the picture.
"""
