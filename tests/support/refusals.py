"""What nats-server refused to the services of a `pantau up`: a subject that its table of rights lacks."""

import re
from pathlib import Path


def refusals(data: Path) -> list[str]:
    """Each refusal once, by user; none where an outside nats-server was used."""
    log = data / "nats" / "nats.log"
    text = log.read_text(errors="replace") if log.exists() else ""
    return sorted(set(re.findall(r"[^\n]*?(\w+ Violation[^\n]*)", text)))
