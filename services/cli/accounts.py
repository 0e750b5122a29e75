"""``pantau accounts``: who may sign in to the wall."""

import sys
from pathlib import Path

import click
from pydantic import ValidationError

from services.contracts.errors import ConflictError, InvalidInputError, NotFoundError
from services.contracts.permissions import Role
from services.mesh.rpc import explain
from services.wall.front.auth import accounts as kept
from services.wall.front.auth.accounts import Account

_FILE = click.option(
    "--file",
    "path",
    envvar="PANTAU_WALL_ACCOUNTS_FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The accounts file; give the wall the same.  [env: PANTAU_WALL_ACCOUNTS_FILE]",
)
_ROLES = click.Choice([role.value for role in Role])


@click.group()
def accounts() -> None:
    """Manage the people and programs who may sign in to the wall.

    People have passwords, programs have tokens; the file keeps only hashes of both. A running wall notices a changed
    file by itself.
    """


@accounts.command("list")
@_FILE
def list_accounts(path: Path) -> None:
    """List the accounts: name, role, and how they sign in."""
    for account in kept.read_accounts(path).values():
        ways = [way for way, given in (("password", account.password), ("token", account.token)) if given]
        click.echo(f"{account.name}\t{account.role}\t{', '.join(ways) or 'cannot sign in'}")


@accounts.command()
@_FILE
@click.argument("name")
@click.option("--role", type=_ROLES, required=True, help="What the account may do.")
@click.option("--token", "with_token", is_flag=True, help="Make a token for a program, and print it once.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
@click.option("--locale", type=click.Choice(["id", "en"]), default=None, help="Language of the account's pages.")
@click.option("--replace", is_flag=True, help="Replace an account of that name.")
def add(
    path: Path, name: str, role: str, with_token: bool, password_stdin: bool, locale: str | None, replace: bool
) -> None:
    """Add an account named NAME.

    Asks for a password, or makes a token with --token. Creates the file if it does not exist.
    """
    present = kept.read_accounts(path) if path.exists() else {}
    if name in present and not replace:
        raise ConflictError(f"there is an account {name!r} already; --replace changes it")
    token = kept.new_token() if with_token else None
    password = None if with_token else _password(from_stdin=password_stdin)
    try:
        present[name] = Account(
            name=name,
            role=Role(role),
            password=kept.hash_password(password) if password else None,
            token=kept.hash_token(token) if token else None,
            locale=locale,
        )
    except ValidationError as error:
        raise InvalidInputError(explain(error)) from error
    kept.write_accounts(path, present.values())
    if token:
        click.echo(token)
    click.echo(f"{name} may sign in as {role}; accounts are in {path}", err=True)


@accounts.command()
@_FILE
@click.argument("name")
def remove(path: Path, name: str) -> None:
    """Remove the account named NAME; its sessions end within seconds."""
    present = kept.read_accounts(path)
    if present.pop(name, None) is None:
        raise NotFoundError(f"there is no account {name!r} in {path}")
    kept.write_accounts(path, present.values())


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    if len(password) < kept.MIN_PASSWORD_CHARACTERS:
        raise InvalidInputError(f"a password has at least {kept.MIN_PASSWORD_CHARACTERS} characters")
    return password
