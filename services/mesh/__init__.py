"""The kit of all services: bus, buckets, leases, RPC, transfers, children, settings, lifecycle, logs, metrics."""

from services.mesh import lean

lean.install()
