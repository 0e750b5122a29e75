"""``pantau audit``: who saw, exported or changed what, as a file that shows whether it was altered."""

import sys
from pathlib import Path
from typing import Final

import click

from services.cli.client import Client, client_command
from services.cli.verify import ALTERED, INTACT, UNREADABLE, one_line, public_key

UNSIGNED: Final = 3
_PATH: Final = click.Path(path_type=Path, dir_okay=False)


@click.group()
def audit() -> None:
    """Export who saw, exported or changed what, and check such a file against the signed daily digests."""


@audit.command()
@click.argument("file", type=_PATH)
@click.option(
    "--from", "from_", metavar="DAY", help="The first day, as in 2026-03-01 (UTC); default: all that is kept."
)
@click.option("--to", metavar="DAY", help="The last day; default: up to now.")
@client_command
async def export(client: Client, file: Path, from_: str | None, to: str | None) -> None:
    """Write the audit's entries and digests into FILE, byte for byte. Needs a supervisor's token.

    FILE holds JSON lines. It has whole digests: those of the days that are asked for, with all entries that they cover.

    Exit status: 0 done, 1 refused, 2 the command line is wrong, 3 no wall answers.
    """
    params = {name: value for name, value in (("from", from_), ("to", to)) if value}
    try:
        size = await client.save("/audit/export.jsonl", file, params=params)
    except OSError as error:
        raise click.UsageError(f"cannot write {file}: {error.strerror}") from error
    click.echo(f"{file}: {size:,} bytes; check it with: pantau audit verify {file}", err=True)


@audit.command()
@click.argument("file", type=_PATH)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="KEY",
    help="Public key of a recorder, known from elsewhere: hexadecimal, or the file recorder-key.pub. Then no other key"
    " is accepted. May be repeated.",
)
@click.option(
    "--digest",
    "known_sha256",
    metavar="SHA256",
    default="",
    help="The newest digest that you know from elsewhere (GET /api/v1/audit/digests, or the first line of an earlier"
    " verify). A file without it was cut back.",
)
@click.option("--quiet", "-q", is_flag=True, help="Say nothing; the exit status tells.")
def verify(file: Path, keys: tuple[str, ...], known_sha256: str, quiet: bool) -> None:
    """Check FILE, which `pantau audit export` wrote. Needs no network and no running Pantau.

    Each digest is held against the entries that it was made of, its signature, and the digest before it. What stands
    behind the newest digest is not signed yet. A file that was cut back to an older digest is intact by itself: the
    first line says which digest is the newest, and --digest holds that against one that you know.

    Exit status: 0 intact, 1 altered (and it says where), 2 unreadable, 3 no digest in it covers its entries, so that
    nothing shows whether they were altered.
    """
    from services.contracts.audit_export import UnreadableExportError, verify_export

    def say(text: str) -> None:
        if not quiet:
            click.echo(one_line(text))

    trusted = frozenset(map(public_key, keys))
    try:
        with file.open("rb") as lines:
            verdict = verify_export(lines, trusted, known_sha256)
    except (UnreadableExportError, OSError) as error:
        click.echo(one_line(f"unreadable: {error}"), err=True)
        sys.exit(UNREADABLE)
    if verdict.digests:
        newest = verdict.digests[-1].digest
        cut = "" if known_sha256 else "; not known: whether newer ones were cut off (see --digest)"
        say(f"newest   {newest.day}: digest {newest.sha256}{cut}")
    for unknown in verdict.unknown:
        say(f"not known: {unknown}")
    for each in verdict.digests:
        compared = "" if keys else " (not compared with any you trust; see --key)"
        say(
            f"digest   {each.digest.day}: {each.digest.entries} entries, signed by {each.recorder} {each.key}{compared}"
        )
    if verdict.unsigned:
        say(f"unsigned {verdict.unsigned} entries stand behind the newest digest: the next one covers them")
    for finding in verdict.findings:
        say(f"altered: {finding}")
    if verdict.findings:
        sys.exit(ALTERED)
    whole = sum(each.intact is True for each in verdict.digests)
    if verdict.entries and not whole:
        say(f"not known: no digest in the file covers its {verdict.entries} entries as a whole")
        sys.exit(UNSIGNED)
    say(f"intact: {verdict.entries} entries of {verdict.site}, {whole} digests hold")
    sys.exit(INTACT)
