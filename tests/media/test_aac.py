import pytest

from services.media import aac
from services.media.nal import BitstreamError
from tests.media import encoded


def test_config_of_an_encoded_stream() -> None:
    config = aac.parse_config(encoded.audio("aac", rate=16000).extradata)
    assert (config.object_type, config.sample_rate_hz, config.channels) == (2, 16000, 1)


@pytest.mark.parametrize("config", [b"", b"\x12", b"\x16\xff\xff\xff\xff"[:1]])
def test_short_configs_are_refused(config: bytes) -> None:
    with pytest.raises(BitstreamError):
        aac.parse_config(config)
