"""Addresses: what stands in a URL, where redirects lead, and which URLs a track may have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.media.rtsp.addresses import RtspAddressError, base_path, control_urls, parse_address, redirected

ASKED = parse_address("rtsp://cam:8554/live/ch1?profile=2")


@pytest.mark.parametrize(
    ("url", "endpoint", "path"),
    [
        ("rtsp://cam/1", ("cam", 554, False), "/1"),
        ("RTSPS://Cam:8322", ("cam", 8322, True), ""),
        ("rtsps://[fe80::1]:322/a?b=/c", ("fe80::1", 322, True), "/a?b=/c"),
        ("rtsp://cam?x=1", ("cam", 554, False), "/?x=1"),
        ("rtsp://user:secret@cam/1#part", ("cam", 554, False), "/1"),
    ],
)
def test_the_parts_of_a_url(url: str, endpoint: tuple[str, int, bool], path: str) -> None:
    address = parse_address(url)
    assert (address.endpoint, address.path) == (endpoint, path)
    assert "secret" not in address.url


@pytest.mark.parametrize(
    "url",
    [
        "http://cam/1",
        "cam/1",
        "rtsp:///1",
        "rtsp://cam:0/",
        "rtsp://cam:65536/",
        "rtsp://cam:x/",
        "rtsp://a b/",
        "rtsp://[::1/",
        b"rtsp://caf\xe9/1".decode("utf-8", "surrogateescape"),
    ],
)
def test_what_is_no_address_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(RtspAddressError) as refused:
        parse_address(url)
    assert url not in str(refused.value)


@given(st.text(max_size=80))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for prefix in ("", "rtsp://", "rtsp://cam/"):
        try:
            address = parse_address(prefix + text)
        except RtspAddressError:
            continue
        assert 0 < address.port < 65536
        base = base_path(address, text)
        assert all("://" in url for url in control_urls(address, base, text))


@pytest.mark.parametrize(
    ("base", "path"),
    [
        ("", "/live/ch1?profile=2"),
        ("rtsp://cam:8554/live/ch1/", "/live/ch1/"),
        ("rtsp://192.168.1.9/live/ch1/", "/live/ch1/"),
        ("rtsp://cam:8554/live/ch1/rtsp://cam:8554/live/ch1/", "/live/ch1/"),
        ("rtsp://rtsp://cam:8554/live/ch1/", "/live/ch1/"),
        ("cam:8554/live/ch1/", "/live/ch1/"),
        ("192.168.1.9/live/ch1/", "/live/ch1/"),
        ("//cam/live/ch1/", "/live/ch1/"),
        ("/live/ch1/", "/live/ch1/"),
        ("live/ch1/", "/live/ch1/"),
        ("rtsp://cam", "/live/ch1?profile=2"),
        ("nothing", "/live/ch1?profile=2"),
    ],
)
def test_bases_as_cameras_write_them(base: str, path: str) -> None:
    assert base_path(ASKED, base) == path


@pytest.mark.parametrize(
    ("base", "control", "url"),
    [
        ("/live/ch1/", "trackID=1", "/live/ch1/trackID=1"),
        ("/live/ch1", "trackID=1", "/live/ch1/trackID=1"),
        ("/live/ch1?profile=2", "trackID=1", "/live/ch1?profile=2/trackID=1"),
        ("/live/ch1", "?track=1", "/live/ch1?track=1"),
        ("/live/ch1/", "/trackID=1", "/live/ch1/trackID=1"),
        ("/live/ch1/", "/live/ch1/trackID=1", "/live/ch1/trackID=1"),
        ("/live/ch1/", "rtsp://10.0.0.1/live/ch1/trackID=1", "/live/ch1/trackID=1"),
        ("/live/ch1/", "*", "/live/ch1/"),
        ("/live/ch1/", "", "/live/ch1/"),
    ],
)
def test_the_likeliest_url_of_a_track_names_the_host_that_was_connected_to(base: str, control: str, url: str) -> None:
    urls = control_urls(ASKED, base, control)
    assert urls[0] == "rtsp://cam:8554" + url
    assert len(urls) == len(set(urls)) <= 6


def test_other_readings_of_a_control_attribute_follow() -> None:
    assert "rtsp://cam:8554/trackID=1" in control_urls(ASKED, "/live/ch1/", "/trackID=1")
    assert "rtsp://10.0.0.1/x" in control_urls(ASKED, "/live/ch1/", "rtsp://10.0.0.1/x")
    assert "rtsp://cam:8554/live/ch1?profile=2" in control_urls(ASKED, "/other/", "*")


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("rtsp://other/2", "rtsp://other/2"),
        ("rtsp://user:secret@other:99/2", "rtsp://other:99/2"),
        ("/2", "rtsp://cam:8554/2"),
        ("ch2", "rtsp://cam:8554/live/ch2"),
        (b"/caf\xe9".decode("utf-8", "surrogateescape"), "rtsp://cam:8554/caf%E9"),
    ],
)
def test_redirects(location: str, url: str) -> None:
    assert redirected(ASKED, location).url == url


@pytest.mark.parametrize("location", ["", "http://other/", "rtsp://"])
def test_a_redirect_to_nowhere_is_refused(location: str) -> None:
    with pytest.raises(RtspAddressError):
        redirected(ASKED, location)
