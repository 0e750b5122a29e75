"""Prometheus metrics with the prefix ``pantau_``. A module declares its metrics beside the code that changes them."""

from prometheus_client import Counter, Gauge, Histogram

PREFIX = "pantau"


def counter(name: str, help_text: str, *labels: str) -> Counter:
    """A counter ``pantau_<name>_total``."""
    return Counter(f"{PREFIX}_{name}", help_text, labels)


def gauge(name: str, help_text: str, *labels: str) -> Gauge:
    """A gauge ``pantau_<name>``."""
    return Gauge(f"{PREFIX}_{name}", help_text, labels)


def histogram(name: str, help_text: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
    """A histogram ``pantau_<name>`` with ``buckets`` in the name's unit."""
    return Histogram(f"{PREFIX}_{name}", help_text, labels, buckets=buckets)
