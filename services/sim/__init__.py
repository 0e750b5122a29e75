"""Simulated cameras: an RTSP server for demonstrations, tests and load.

A test begins with `services.sim.simulator.Simulator` and `services.sim.settings.SimSettings`; `services.sim.faults`
lists what can go wrong; `services.sim.pictures.stamp` and `services.sim.pictures.marker` read which frame it is, from the stream and from
the picture.
"""
