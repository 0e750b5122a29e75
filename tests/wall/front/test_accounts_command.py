"""``pantau accounts`` writes what the wall reads."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from services.cli.accounts import accounts
from services.contracts.errors import ConflictError, InvalidInputError, NotFoundError
from services.wall.front.auth import accounts as kept
from services.wall.front.auth import passwords


def run(path: Path, *arguments: str, stdin: str = "") -> str:
    """What the command prints; what it raises."""
    command, *rest = arguments
    result = CliRunner().invoke(accounts, [command, "--file", str(path), *rest], input=stdin)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_a_person_is_added_with_a_password_and_listed(tmp_path: Path) -> None:
    path = tmp_path / "accounts.toml"
    run(path, "add", "budi", "--role", "operator", "--password-stdin", "--locale", "id", stdin="kata sandi panjang\n")
    account = kept.read_accounts(path)["budi"]
    assert passwords.password_matches("kata sandi panjang", account.password or "")
    assert not passwords.password_matches("kata sandi pendek", account.password or "")
    assert run(path, "list") == "budi\toperator\tpassword\n"
    assert "kata sandi" not in path.read_text()


def test_a_program_is_given_a_token_once(tmp_path: Path) -> None:
    path = tmp_path / "accounts.toml"
    token = run(path, "add", "dasbor", "--role", "agency", "--token").splitlines()[0]
    assert kept.read_accounts(path)["dasbor"].token == kept.hash_token(token)
    assert token not in path.read_text()


def test_an_account_is_not_replaced_by_accident_and_can_be_removed(tmp_path: Path) -> None:
    path = tmp_path / "accounts.toml"
    run(path, "add", "a", "--role", "viewer", "--token")
    with pytest.raises(ConflictError):
        run(path, "add", "a", "--role", "admin", "--token")
    run(path, "add", "a", "--role", "admin", "--token", "--replace")
    assert run(path, "list") == "a\tadmin\ttoken\n"
    run(path, "remove", "a")
    with pytest.raises(NotFoundError):
        run(path, "remove", "a")


def test_a_short_password_and_a_bad_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "accounts.toml"
    with pytest.raises(InvalidInputError, match="at least"):
        run(path, "add", "a", "--role", "viewer", "--password-stdin", stdin="pendek\n")
    with pytest.raises(InvalidInputError, match="name"):
        run(path, "add", "a b", "--role", "viewer", "--token")
    assert not path.exists()
