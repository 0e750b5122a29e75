"""The relay's settings: section ``wall``, together with the front's."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from services.contracts.models import Id
from services.contracts.subjects import is_id
from services.mesh.settings import Section


def _site_limit(text: str) -> str:
    site, _, mbps = text.partition("=")
    try:
        good = is_id(site) and 0 < float(mbps) < float("inf")
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"{text!r} is not SITE=MBIT, as in mall=8")
    return text


class RelaySettings(Section):
    """What a relay needs besides the mesh's settings."""

    section: ClassVar[str] = "wall"

    udp_port: int = Field(
        default=8189, ge=0, le=65535, description="UDP port of this machine's first relay; 0: any free one."
    )
    public_addresses: tuple[str, ...] = Field(
        default=(), description="IP addresses that viewers reach the relays at; default: this machine's own."
    )
    gso: Literal["auto", "off"] = Field(
        default="auto", description="UDP segmentation offload: auto uses it where a probe at start succeeds."
    )
    kernel: Literal["auto", "off"] = Field(
        default="auto", description="Sending in C: auto where this installation has it built; off: Python sends."
    )
    pace_mbps: float = Field(
        default=100.0, ge=1, le=10_000, description="How fast bursts are sent to one viewer, in Mbit/s."
    )
    site_mbps: tuple[Annotated[str, AfterValidator(_site_limit)], ...] = Field(
        default=(),
        description="How much live video of a joined site all relays take together, in Mbit/s, as in mall=8,office=2. "
        "Tiles show the sub where the main has no room.",
    )
    conversions: int = Field(
        default=2,
        ge=0,
        le=64,
        description="Cameras (H.265, MJPEG, B-pictures that others refer to, open GOPs, more than 8 bits or other than "
        "4:2:0) whose pictures one relay converts at once for browsers that cannot decode them, and tiles that play "
        "recordings of such. Each takes up to a core.",
    )
    conversion_height_px: int = Field(
        default=720, ge=144, le=4320, description="Converted pictures that are higher are scaled down."
    )
    damaged: Literal["show", "hold"] = Field(
        default="show",
        description="Live pictures of which something was lost on their way from the camera: `show` them with a mark, "
        "or `hold` the last whole picture until the next whole keyframe.",
    )
    max_sessions_per_account: int = Field(
        default=500, ge=1, description="Sessions that one relay accepts of one account: a page or a screen has one."
    )
    max_sessions_per_address: int = Field(
        default=500, ge=1, description="Sessions that one relay accepts from one address."
    )
    max_sessions: int = Field(default=1000, ge=1, description="Sessions that one relay accepts.")

    @property
    def site_limits_mbps(self) -> dict[Id, float]:
        """`site_mbps`, by site."""
        return {site: float(mbps) for site, _, mbps in (each.partition("=") for each in self.site_mbps)}
