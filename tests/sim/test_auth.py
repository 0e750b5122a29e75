"""Basic and Digest."""

import re
from base64 import b64encode
from hashlib import md5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sim.auth import Authenticator


def digest(text: str) -> str:
    return md5(text.encode()).hexdigest()


def answer(challenge: str, method: str, password: str, *, qop: bool = False, user: str = "op") -> str:
    """As a client makes it (RFC 2617 section 3.2.2)."""
    found = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    first, second = digest(f"{user}:{found['realm']}:{password}"), digest(f"{method}:rtsp://h/a")
    middle = f"{found['nonce']}:00000001:xyz:auth" if qop else found["nonce"]
    extra = ', qop=auth, nc=00000001, cnonce="xyz"' if qop else ""
    response = digest(f"{first}:{middle}:{second}")
    return (
        f'Digest username="{user}", realm="{found["realm"]}", nonce="{found["nonce"]}", uri="rtsp://h/a", '
        f'response="{response}"{extra}'
    )


@pytest.mark.parametrize("qop", [False, True])
def test_digest_lets_in_the_right_password_alone(qop: bool) -> None:
    auth = Authenticator("digest", "op", "secret")
    challenge = auth.challenges()[0]
    assert auth.accepts("DESCRIBE", answer(challenge, "DESCRIBE", "secret", qop=qop))
    assert not auth.accepts("DESCRIBE", answer(challenge, "DESCRIBE", "Secret", qop=qop))
    assert not auth.accepts("DESCRIBE", answer(challenge, "DESCRIBE", "secret", qop=qop, user="root"))
    assert not auth.accepts("SETUP", answer(challenge, "DESCRIBE", "secret", qop=qop))


def test_an_answer_to_another_connections_nonce_is_refused() -> None:
    other = Authenticator("digest", "op", "secret").challenges()[0]
    assert not Authenticator("digest", "op", "secret").accepts("PLAY", answer(other, "PLAY", "secret"))


def test_basic_is_taken_only_where_it_is_offered() -> None:
    header = "Basic " + b64encode(b"op:secret").decode()
    assert Authenticator("basic", "op", "secret").accepts("PLAY", header)
    assert Authenticator("both", "op", "secret").accepts("PLAY", header)
    assert not Authenticator("digest", "op", "secret").accepts("PLAY", header)
    assert not Authenticator("basic", "op", "other").accepts("PLAY", header)


@given(st.one_of(st.none(), st.text(max_size=80), st.sampled_from(["Basic ", "Digest "]).flatmap(
    lambda kind: st.text(max_size=60).map(lambda rest: kind + rest))))  # fmt: skip
def test_no_garbage_is_let_in(header: str | None) -> None:
    assert not Authenticator("both", "op", "secret").accepts("PLAY", header)


def test_an_answer_that_is_no_ascii_is_refused() -> None:
    auth = Authenticator("digest", "op", "secret")
    good = answer(auth.challenges()[0], "PLAY", "secret")
    assert not auth.accepts("PLAY", re.sub('response="[^"]*"', 'response="é"', good))


def test_without_a_scheme_everybody_is_let_in() -> None:
    assert Authenticator("none", "op", "secret").accepts("PLAY", None)
