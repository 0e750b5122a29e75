"""Whether a segment's file is what this recorder recorded. Pure.

A file with a right signature is. One without is, where the index says that it was never signed and stores the last seal
that the file has. Everything else is altered: it is never signed late, and evidence leaves it out.
"""

from itertools import accumulate
from typing import Final

from services.contracts.evidence.statement import is_signed
from services.media.time import SECOND_90K
from services.recorder.storage.proof import add_seal
from services.recorder.storage.rows import OpenSeals, Segment, Signing
from services.recorder.storage.scan import SegmentScan

MAX_UNKNOWN_US: Final = 10 * 1_000_000
"""Of footage behind the last seal that the index knew when the power was cut: it is some passes of a second behind."""
DOUBTFUL_90K: Final = 60 * SECOND_90K
"""The end of a file that a power cut may have undone: several times the longest sensible fsync interval."""


VOUCHED: Final = (Signing.SIGNED, Signing.NEVER)
"""What may be handed out, and signed."""


def judge(found: SegmentScan, row: Segment | None, keys: frozenset[str]) -> Signing:
    """What a closed file is, by its row; None where the index has none. ``keys`` are this recorder's, empty: any."""
    if found.proof is not None:
        return _judge_proof(found, keys)
    known = row is not None and row.signed is not Signing.SIGNED and row.link == found.segment.link
    return row.signed if known and row is not None else Signing.ALTERED


def judge_open(found: SegmentScan, seals: OpenSeals, keys: frozenset[str], *, power_cut: bool) -> Signing:
    """What a file is that was left open."""
    if found.proof is not None:
        return _judge_proof(found, keys)
    totals = list(accumulate(found.links, add_seal, initial=add_seal(b"", found.opening)))[1:]
    known = seals.known
    if totals[-1] in known[-2:]:
        return Signing.NEVER
    if not power_cut:
        return Signing.ALTERED
    if not known:
        return Signing.UNVOUCHED
    places = {total: at for at, total in enumerate(totals)}
    last = next((total for total in reversed(known) if total in places), None)
    if last is None:
        return Signing.ALTERED
    at = places[last] + 1
    if at == len(totals):
        return Signing.NEVER
    if last != known[-1]:
        return Signing.ALTERED  # it goes on otherwise than the index knows
    late = found.segment.end_us - found.captured_us[at] > MAX_UNKNOWN_US
    return Signing.UNVOUCHED if late else Signing.NEVER


def _judge_proof(found: SegmentScan, keys: frozenset[str]) -> Signing:
    proof = found.proof
    assert proof is not None
    own = not keys or proof.public in keys
    right = own and is_signed(proof.public, proof.signature, found.statement().to_bytes())
    return Signing.SIGNED if right else Signing.ALTERED
