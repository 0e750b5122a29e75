"""Authentication: the RFCs' own examples, and challenges as cameras write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.media.rtsp.auth import AuthChallenge, Authorizer, parse_challenges, strongest


def authorizer(header: str, username: str, password: str, cnonce: str = "") -> Authorizer:
    return Authorizer(parse_challenges([header])[0], username, password, lambda: cnonce)


def test_rfc_2069_without_qop() -> None:
    # Computed by the rule of RFC 2069, 2.4: MD5(MD5(A1):nonce:MD5(A2)).
    header = authorizer('Digest realm="IP Camera", nonce="abc"', "admin", "12345").header("DESCRIBE", "rtsp://h/1")
    assert header == (
        'Digest username="admin", realm="IP Camera", nonce="abc", uri="rtsp://h/1", '
        'response="' + _md5(f"{_md5('admin:IP Camera:12345')}:abc:{_md5('DESCRIBE:rtsp://h/1')}") + '"'
    )


def _md5(text: str) -> str:
    import hashlib

    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_rfc_7616_section_3_9_1(algorithm: str, response: str) -> None:
    challenge = (
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    header = authorizer(challenge, "Mufasa", "Circle of Life", cnonce).header("GET", "/dir/index.html")
    assert f'response="{response}"' in header
    assert f"algorithm={algorithm}" in header
    assert 'qop=auth, nc=00000001, cnonce="' in header


def test_the_nonce_count_goes_up() -> None:
    answers = authorizer('Digest realm="r", nonce="n", qop="auth"', "u", "p")
    assert "nc=00000001" in answers.header("PLAY", "x")
    assert "nc=00000002" in answers.header("PLAY", "x")


def test_basic() -> None:
    assert authorizer('Basic realm="r"', "Aladdin", "open sesame").header("GET", "/") == (
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    )


@pytest.mark.parametrize(
    "headers",
    [
        ['Basic realm="r", Digest realm="r", nonce="n", Digest realm="r", nonce="m", algorithm=SHA-256'],
        ['Basic realm="r"', 'Digest realm="r",nonce="n"', 'Digest algorithm="sha-256", realm="r", nonce="m"'],
        ['Digest algorithm=SHA-256,realm="a, \\"b\\" Basic x=1",nonce="m",Basic realm="r"'],
        ['Digest nonce="m" realm="r" algorithm=SHA-256 stale=FALSE , Basic realm=r'],
    ],
)
def test_challenges_in_one_header_or_several_and_the_strongest_is_chosen(headers: list[str]) -> None:
    challenges = parse_challenges(headers)
    assert {challenge.scheme for challenge in challenges} == {"basic", "digest"}
    best = strongest(challenges)
    assert best is not None
    assert (best.algorithm, best.nonce, best.stale) == ("SHA-256", "m", False)


def test_what_is_not_known_is_not_chosen() -> None:
    assert strongest(parse_challenges(['Digest realm="r", nonce="n", algorithm=SHA-512-256', "Negotiate"])) is None
    assert strongest([AuthChallenge("digest", {"realm": "r"})]) is None, "a digest without a nonce"


@given(st.text(max_size=200))
def test_any_challenge_is_read(header: str) -> None:
    challenge = strongest(parse_challenges([header]))
    if challenge is not None:
        Authorizer(challenge, "user", 'pa"ss\\', lambda: "c").header("PLAY", "rtsp://h/")
