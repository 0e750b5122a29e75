"""``pantau accounts``: who may sign in to the wall, in the registry or in an accounts file."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import click
from pydantic import ValidationError

from services.cli.client import DEFAULT_URL, EXIT_REFUSED, EXIT_UNREACHABLE, Client, UnreachableError, given_token
from services.cli.table import echo_table
from services.contracts.errors import ConflictError, InvalidInputError, NotFoundError, PantauError
from services.contracts.permissions import Role
from services.mesh.rpc import explain
from services.wall.front.auth import accounts as kept
from services.wall.front.auth.accounts import Account
from services.wall.front.auth.passwords import MIN_PASSWORD_CHARACTERS, hash_password

_ROLES = click.Choice([role.value for role in Role])
_LOCALES = click.Choice(["id", "en"])
_HEADERS: Final = ("NAME", "ROLE", "SIGNS IN BY")


def _where(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options that say where the accounts are kept."""
    for option in (
        click.option("--admin-token", envvar="PANTAU_TOKEN", help="An administrator's API token.  [env: PANTAU_TOKEN]"),
        click.option("--url", default=DEFAULT_URL, envvar="PANTAU_URL", show_default=True, help="The wall."),
        click.option(
            "--file",
            "path",
            envvar="PANTAU_WALL_ACCOUNTS_FILE",
            type=click.Path(path_type=Path, dir_okay=False),
            help="An accounts file instead of the registry; give the wall the same.  [env: PANTAU_WALL_ACCOUNTS_FILE]",
        ),
    ):
        command = option(command)
    return command


@click.group()
def accounts() -> None:
    """Manage the people and programs who may sign in to the wall.

    Accounts are kept in the registry, through a wall that runs (--url). On a wall that has none yet, make the first
    one on its own machine; it must be an admin's. With --file they are kept in a file, for one box. Passwords are kept
    as hashes, and a change counts at once: sessions end where a role or a password changes.
    """


@accounts.command("list")
@_where
def list_accounts(path: Path | None, url: str, admin_token: str | None) -> None:
    """List the accounts: name, role, and how they sign in."""
    if path is not None:
        for account in kept.read_accounts(path).values():
            ways = [way for way, given in (("password", account.password), ("token", account.token)) if given]
            click.echo(f"{account.name}\t{account.role}\t{', '.join(ways) or 'cannot sign in'}")
        return
    answer = _call(url, admin_token, "GET", "/accounts")
    echo_table(_HEADERS, [(str(item["name"]), str(item["role"]), _way(item)) for item in answer["accounts"]])


@accounts.command()
@_where
@click.argument("name")
@click.option("--role", type=_ROLES, required=True, help="What the account may do.")
@click.option("--token", "with_token", is_flag=True, help="Make a token for a program, and print it once (--file).")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
@click.option("--locale", type=_LOCALES, default=None, help="Language of the account's pages.")
@click.option("--replace", is_flag=True, help="Replace an account of that name (--file).")
def add(
    path: Path | None,
    url: str,
    admin_token: str | None,
    name: str,
    role: str,
    with_token: bool,
    password_stdin: bool,
    locale: str | None,
    replace: bool,
) -> None:
    """Add an account named NAME.

    Asks for a password, or makes a token with --token. Creates the file of --file if it does not exist.
    """
    if path is None:
        if with_token or replace:
            raise click.UsageError("--token and --replace go with --file")
        body = {"name": name, "role": role, "locale": locale, "password": _password(from_stdin=password_stdin)}
        _call(url, admin_token, "POST", "/accounts", body)
        click.echo(f"{name} may sign in as {role}", err=True)
        return
    present = kept.read_accounts(path) if path.exists() else {}
    if name in present and not replace:
        raise ConflictError(f"there is an account {name!r} already; --replace changes it")
    token = kept.new_token() if with_token else None
    password = None if with_token else _password(from_stdin=password_stdin)
    try:
        present[name] = Account.model_validate(
            {
                "name": name,
                "role": Role(role),
                "password": hash_password(password) if password else None,
                "token": kept.hash_token(token) if token else None,
                "locale": locale,
            }
        )
    except ValidationError as error:
        raise InvalidInputError(explain(error)) from error
    kept.write_accounts(path, present.values())
    if token:
        click.echo(token)
    click.echo(f"{name} may sign in as {role}; accounts are in {path}", err=True)


@accounts.command()
@_where
@click.argument("name")
@click.option("--role", type=_ROLES, default=None, help="Another role.")
@click.option("--password", "ask_password", is_flag=True, help="Ask for a new password.")
@click.option("--password-stdin", is_flag=True, help="Read the new password from standard input.")
@click.option("--disable/--enable", "disabled", default=None, help="Whether nobody, or again somebody, may sign in.")
def change(
    path: Path | None,
    url: str,
    admin_token: str | None,
    name: str,
    role: str | None,
    ask_password: bool,
    password_stdin: bool,
    disabled: bool | None,
) -> None:
    """Change the account named NAME in the registry."""
    if path is not None:
        raise click.UsageError("an account of a file is changed with: add --replace")
    body: dict[str, Any] = {key: value for key, value in (("role", role), ("disabled", disabled)) if value is not None}
    if ask_password or password_stdin:
        body["password"] = _password(from_stdin=password_stdin)
    _call(url, admin_token, "PATCH", f"/accounts/{quote(name, safe='')}", body)


@accounts.command()
@_where
@click.argument("name")
def remove(path: Path | None, url: str, admin_token: str | None, name: str) -> None:
    """Remove the account named NAME; its sessions end within seconds."""
    if path is None:
        _call(url, admin_token, "DELETE", f"/accounts/{quote(name, safe='')}")
        return
    present = kept.read_accounts(path)
    if present.pop(name, None) is None:
        raise NotFoundError(f"there is no account {name!r} in {path}")
    kept.write_accounts(path, present.values())


def _call(url: str, token: str | None, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    async def call() -> Any:
        async with Client(url, given_token(token)) as client:
            return await client.call(method, path, json=body)

    try:
        return asyncio.run(call())
    except PantauError as error:
        click.echo(f"pantau: {error.message}", err=True)
        sys.exit(EXIT_UNREACHABLE if isinstance(error, UnreachableError) else EXIT_REFUSED)


def _way(item: dict[str, Any]) -> str:
    if item["disabled"]:
        return "disabled"
    return "password" if item["has_password"] else "tokens or the identity provider"


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    if len(password) < MIN_PASSWORD_CHARACTERS:
        raise InvalidInputError(f"a password has at least {MIN_PASSWORD_CHARACTERS} characters")
    return password
