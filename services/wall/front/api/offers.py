"""What can be said about an SDP offer before any relay has seen it."""

from typing import Final

from services.contracts.errors import BadOfferError

SDP: Final = "application/sdp"
SDP_FRAGMENT: Final = "application/trickle-ice-sdpfrag"
MAX_OFFER_BYTES: Final = 512 * 1024
"""Chromium's untrimmed offer for 36 slots has 175 kB."""


def check_offer(offer: str) -> None:
    """Raises `BadOfferError` where no relay could answer ``offer``: that need not cost a placement."""
    if not offer.startswith("v=0"):
        raise BadOfferError("the body is no SDP offer: it must begin with v=0")
    lines = offer.splitlines()
    if not any(line.startswith("m=video ") for line in lines):
        raise BadOfferError("the offer asks for no video: it has no m=video section")
    for attribute in ("a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:"):
        if not any(line.startswith(attribute) for line in lines):
            raise BadOfferError(f"the offer has no {attribute.rstrip(':')}: it cannot be a WebRTC offer")
