"""Credentials reach no log, event or error."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.redact import redact, split_credentials, with_credentials
from services.mesh.log import configure, get_logger


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("rtsp://admin:s3cret@10.0.0.5/main failed", "rtsp://***@10.0.0.5/main failed"),
        ("rtsp://admin@10.0.0.5/main", "rtsp://***@10.0.0.5/main"),
        ("rtsp://admin:p@ss@10.0.0.5/main", "rtsp://***@10.0.0.5/main"),
        ("rtsp://admin:p/ss@10.0.0.5/main", "rtsp://***@10.0.0.5/main"),
        ("a HTTP://u:p@h/ and nats://x:y@z", "a HTTP://***@h/ and nats://***@z"),
        ("rtsp://10.0.0.5/main?to=a@b", "rtsp://10.0.0.5/main?to=a@b"),
        ("mail to a@b about rtsp://host/x", "mail to a@b about rtsp://host/x"),
        ("nats://a:b@one:4222,nats://a:b@two:4222", "nats://***@one:4222,nats://***@two:4222"),
        ("rtsp://admin:12/3?4#@10.0.0.5:554/main", "rtsp://***@10.0.0.5:554/main"),
        ("http://127.0.0.1:8080/whep/cam-1", "http://127.0.0.1:8080/whep/cam-1"),
        ("nothing here", "nothing here"),
        ("http://10.0.0.5/v.cgi?user=a&pwd=s3cret&x=1 is away", "http://10.0.0.5/v.cgi?user=a&pwd=***&x=1 is away"),
        ("rtsp://h/user=admin_password=s3_cret_channel=1.sdp", "rtsp://h/user=admin_password=***"),
        ("rtsp://h/live?token=abc#x", "rtsp://h/live?token=***#x"),
        ("http://h/bypass=1&compass=2", "http://h/bypass=1&compass=2"),
    ],
)
def test_the_user_part_of_every_url_is_gone(text: str, clean: str) -> None:
    assert redact(text) == clean


words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(words, words)
def test_credentials_survive_going_into_a_url_and_out_again_and_are_redacted_there(name: str, password: str) -> None:
    url = with_credentials("rtsp://camera.example:554/main?x=1", name, password)
    assert split_credentials(url) == ("rtsp://camera.example:554/main?x=1", name, password)
    assert redact(url) == "rtsp://***@camera.example:554/main?x=1"


def test_a_url_without_a_user_stays_as_it_is() -> None:
    assert split_credentials("rtsp://camera/main") == ("rtsp://camera/main", None, None)
    assert split_credentials("rtsp://operator@camera/main") == ("rtsp://camera/main", "operator", None)


@pytest.mark.parametrize(
    ("url", "bare", "password"),
    [
        ("rtsp://admin:pa#ss@10.0.0.5/main", "rtsp://10.0.0.5/main", "pa#ss"),
        ("rtsp://admin:pa/ss@10.0.0.5:554/main", "rtsp://10.0.0.5:554/main", "pa/ss"),
        ("rtsp://admin:pa?s@s#@10.0.0.5/main?x=1", "rtsp://10.0.0.5/main?x=1", "pa?s@s#"),
        ("rtsp://admin:p%23@[::1]:554/", "rtsp://[::1]:554/", "p#"),
        ("rtsp://admin:a:b@cam/", "rtsp://cam/", "a:b"),
    ],
)
def test_passwords_that_are_pasted_as_they_are_are_understood(url: str, bare: str, password: str) -> None:
    assert split_credentials(url) == (bare, "admin", password)


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://admin:12/s3cret@10.0.0.5/main",  # or is 12 a port?
        "rtsp://10.0.0.5:554/main?to=s3cret@b",
        "rtsp://admin:s3cret@10.0.0.5/main?to=a@b",
        "rtsp://admin:s3cret@/main",
        "rtsp://admin:s3cret@10.0.0.5:99999/main",
        "rtsp://admin:s3cret@my camera/main",
    ],
)
def test_what_may_be_a_password_or_not_is_refused_without_naming_it(url: str) -> None:
    with pytest.raises(ValueError, match="address") as refused:
        split_credentials(url)
    assert "s3cret" not in str(refused.value)


def test_an_at_in_a_path_without_any_user_stays() -> None:
    assert split_credentials("rtsp://10.0.0.5/main?to=a@b") == ("rtsp://10.0.0.5/main?to=a@b", None, None)


@pytest.mark.parametrize("format", ["json", "console"])
def test_no_log_line_holds_a_credential(format: str, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: A002
    root = logging.getLogger()
    before = root.handlers, root.level
    try:
        configure("test", format="json" if format == "json" else "console")
        log = get_logger()
        log.warning("open rtsp://u:hunter2@cam/", url="rtsp://u:hunter2@cam/", password="hunter2")
        log.warning("nested", camera={"Token": "hunter2", "urls": ["rtsp://u:hunter2@cam/"]})
        log.warning("raised", error=ValueError("rtsp://u:hunter2@cam/ is bad"))
        passphrase = "hunter2"  # a local variable: tracebacks show no locals
        try:
            int(f"rtsp://u:{passphrase}@cam/")
        except ValueError:
            log.exception("traced")
        logging.getLogger("some.library").warning("connecting to %s", "rtsp://u:hunter2@cam/")
    finally:
        root.handlers, root.level = before
    lines = capsys.readouterr().err
    assert "hunter2" not in lines
    assert "rtsp://***@cam/" in lines
    if format == "json":
        assert [json.loads(line)["service"] for line in lines.splitlines()] == ["test"] * 5
