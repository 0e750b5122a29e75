"""Settings of the archive are refused with what would do, and its secret is not shown."""

import pytest

from services.mesh.settings import SettingsError
from services.recorder.archive.settings import ArchiveSettings, keep_seconds


def test_bucket_and_folder_come_from_the_url() -> None:
    settings = ArchiveSettings(url="s3://city-archive/footage/2026/")
    assert (settings.bucket, settings.folder) == ("city-archive", "footage/2026")


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("URL", "https://storage/city", "s3://bucket/folder"),
        ("KEEP", "a while", "365d"),
        ("WHAT", "some", "'all' or 'held'"),
        ("UPLOADS", "0", "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_used_is_named_with_what_would_do(variable: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError, match=f"PANTAU_ARCHIVE_{variable}") as refused:
        ArchiveSettings.load({f"PANTAU_ARCHIVE_{variable}": value})
    assert said in refused.value.message


def test_the_secret_is_not_shown() -> None:
    settings = ArchiveSettings.load({"PANTAU_ARCHIVE_SECRET_ACCESS_KEY": "very secret"})
    assert "very secret" not in repr(settings)


def test_ages_are_those_of_ladders() -> None:
    assert keep_seconds("2w") == 14 * 86_400
    assert keep_seconds("for ever") == float("inf")
