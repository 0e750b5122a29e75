"""A recorder signs manifests that are made now, by its own version, for who asks; and nothing else."""

from typing import Any

import pytest

import services
from services.contracts.errors import InvalidInputError, UnavailableError
from services.contracts.evidence.manifest import Manifest
from services.contracts.evidence.statement import Statement, canonical, is_signed
from services.contracts.permissions import Actor, Role
from services.recorder.reading.evidence import MAX_AGE_US, sign_manifest
from tests.recorder.rig import SIGNER
from tests.recorder.units import START_US

ANI = Actor("ani", Role.OPERATOR)


def manifest(**changes: Any) -> bytes:
    made = Manifest(
        bundle="evidence-1", created_us=START_US, software=f"pantau {services.__version__}", asked_by="ani",
        role="operator", reason="x", from_us=START_US - 10, to_us=START_US, cameras=(),
        keys={SIGNER.sign(b"").key_id: SIGNER.public}, files={},
    )  # fmt: skip
    return canonical(made.model_copy(update=changes).model_dump(mode="json"))


def test_a_manifest_that_is_made_now_is_signed_as_it_is() -> None:
    raw = manifest()
    made = sign_manifest(raw, SIGNER, ANI, START_US + 1)
    assert is_signed(SIGNER.public, made.signature, raw)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"{}", "fields are wrong"),
        (b"\0", "fields are wrong"),
        (manifest() + b" ", "canonical"),
        (manifest().replace(b"{", b'{"more":1,', 1), "canonical"),
        (manifest(asked_by="budi"), "somebody else"),
        (manifest(role="admin"), "somebody else"),
        (manifest(created_us=START_US - MAX_AGE_US - 10), "made now"),
        (manifest(created_us=START_US + MAX_AGE_US + 10), "made now"),
        (manifest(keys={}), "does not name the key"),
        (manifest(software="pantau 0.0.0"), "this recorder is"),
    ],
)
def test_a_manifest_that_says_anything_else_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(InvalidInputError, match=why):
        sign_manifest(raw, SIGNER, ANI, START_US)


def test_a_statement_is_no_manifest() -> None:
    """One key signs both: who could have a statement signed as a manifest could forge footage."""
    said = Statement(
        site="city", camera="cam-1", profile="main", recorder="rec-1", path="p", tier="full", start_us=1, end_us=2,
        uncertainty_us=0, clock="rtcp", opening="00" * 32, links=(), previous="",
    )  # fmt: skip
    with pytest.raises(InvalidInputError):
        sign_manifest(said.to_bytes(), SIGNER, ANI, START_US)


def test_without_a_key_nothing_is_signed() -> None:
    with pytest.raises(UnavailableError):
        sign_manifest(manifest(), None, ANI, START_US)
