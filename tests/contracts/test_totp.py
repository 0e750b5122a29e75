"""Codes by RFC 6238."""

import base64

import pytest

from services.contracts import totp

SECRET = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (2000000000, "279037"), (20000000000, "353130")],
)
def test_codes_are_those_of_the_standards_table(seconds: int, code: str) -> None:
    """RFC 6238, appendix B, its last six digits."""
    assert totp.code_at(SECRET, seconds // totp.STEP_SECONDS) == code


def test_a_code_counts_around_its_time_and_once() -> None:
    code = totp.code_at(SECRET, 100)
    at = 100 * totp.STEP_SECONDS
    assert totp.matching_step(SECRET, f" {code[:3]} {code[3:]}", at) == 100
    assert totp.matching_step(SECRET, code, at + totp.STEP_SECONDS) == 100
    assert totp.matching_step(SECRET, code, at + 3 * totp.STEP_SECONDS) is None
    assert totp.matching_step(SECRET, code, at, after=100) is None
    for wrong in ("", "12345", "1234567", "abcdef", "１２３４５６", "\udcff23456"):
        assert totp.matching_step(SECRET, wrong, at) is None


def test_recovery_codes_are_known_by_their_digests_however_they_are_written() -> None:
    codes = totp.new_recovery_codes()
    assert len(set(codes)) == totp.RECOVERY_CODES
    assert totp.recovery_digest(codes[0]) == totp.recovery_digest(f" {codes[0][:8].upper()}-{codes[0][8:]} ")
