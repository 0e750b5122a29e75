"""Settings: the environment over the file, every unknown key refused by name."""

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field, SecretStr

from services.mesh.settings import MeshSettings, Section, SettingsError, read_file, refuse_unknown


class CafeSettings(Section):
    """A service's section."""

    section: ClassVar[str] = "cafe"

    tables: int = Field(default=4, ge=1)
    names: tuple[str, ...] = ()
    key: SecretStr = SecretStr("")


class TerraceSettings(Section):
    """Another part of the same service."""

    section: ClassVar[str] = "cafe"

    umbrellas: int = 0


ALL = (MeshSettings, CafeSettings, TerraceSettings)


def test_the_environment_goes_before_the_file_and_the_file_before_the_default() -> None:
    file = {"cafe": {"tables": 5, "names": ["a", "b"]}, "site": "malang"}
    assert CafeSettings.load({"PANTAU_CAFE_TABLES": "6"}, file) == CafeSettings(tables=6, names=("a", "b"))
    assert CafeSettings.load({}, {}).tables == 4
    assert MeshSettings.load({}, file).site == "malang"
    assert MeshSettings.load({"PANTAU_SITE": "batu"}, file).site == "batu"


def test_a_list_is_written_with_commas_in_the_environment() -> None:
    assert CafeSettings.load({"PANTAU_CAFE_NAMES": "satu, dua,"}).names == ("satu", "dua")


def test_a_list_that_may_be_none_is_written_with_commas_too() -> None:
    class Listed(Section):
        """One list that may be missing."""

        section: ClassVar[str] = "listed"
        names: list[str] | None = None

    assert Listed.load({"PANTAU_LISTED_NAMES": "a, b"}).names == ["a", "b"]
    assert Listed.load({}).names is None


def test_a_secret_may_be_given_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter2\n")
    settings = CafeSettings.load({"PANTAU_CAFE_KEY_FILE": str(tmp_path / "key")})
    assert settings.key.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(settings)
    with pytest.raises(SettingsError, match=r"PANTAU_CAFE_KEY_FILE: cannot read .*absent"):
        CafeSettings.load({"PANTAU_CAFE_KEY_FILE": str(tmp_path / "absent")})


def test_a_wrong_value_is_refused_with_its_key_its_variable_and_what_would_do() -> None:
    with pytest.raises(SettingsError, match=r"cafe\.tables \(PANTAU_CAFE_TABLES\): .*greater than or equal to 1"):
        CafeSettings.load({"PANTAU_CAFE_TABLES": "0"})


def test_a_wrong_secret_is_not_repeated_in_the_error() -> None:
    with pytest.raises(SettingsError) as refused:
        MeshSettings.load({"PANTAU_SITE": "Not An Id", "PANTAU_NATS_PASSWORD": "hunter2"})
    assert "site (PANTAU_SITE)" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_every_unknown_key_is_named_over_all_sections() -> None:
    environ = {"PANTAU_CAFE_TABELS": "3", "PANTAU_URL": "http://x", "HOME": "/", "PANTAU_CAFE_KEY_FILE": "/k"}
    file = {"stie": "x", "site": "malang", "cafe": {"tables": 3, "umbrellas": 2, "chairs": 1}, "bar": {"stools": 2}}
    with pytest.raises(SettingsError) as refused:
        refuse_unknown(ALL, environ, file)
    assert "unknown settings: PANTAU_CAFE_TABELS, stie, cafe.chairs, [bar]" in str(refused.value)
    refuse_unknown(ALL, {"PANTAU_CAFE_TABLES": "3", "PANTAU_CONFIG": "x"}, {"cafe": {"umbrellas": 2}})


def test_two_parts_of_a_service_share_a_table() -> None:
    file = {"cafe": {"tables": 3, "umbrellas": 2}}
    assert CafeSettings.load({}, file).tables == 3
    assert TerraceSettings.load({}, file).umbrellas == 2


def test_a_file_that_is_missing_or_no_toml_is_refused_by_name(tmp_path: Path) -> None:
    assert read_file(None) == {}
    with pytest.raises(SettingsError, match=r"cannot read the settings file .*absent\.toml"):
        read_file(tmp_path / "absent.toml")
    (tmp_path / "bad.toml").write_text("site = ")
    with pytest.raises(SettingsError, match=r"bad\.toml is not TOML"):
        read_file(tmp_path / "bad.toml")
