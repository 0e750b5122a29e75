"""`pantau verify`: checks an evidence bundle offline."""

import sys
from collections import Counter
from pathlib import Path

import click

INTACT, ALTERED, UNREADABLE = 0, 1, 2


@click.command("verify")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="KEY",
    help="Public key of a recorder, known from elsewhere: hexadecimal, or the file recorder-key.pub. Then no other key"
    " is accepted. May be repeated, as after the recorder got a new key.",
)
@click.option(
    "--events",
    "events",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The recording.segment_closed events that were received while the footage was recorded: JSON lines, or what"
    " /api/v1/events sent.",
)
@click.option("--quiet", "-q", is_flag=True, help="Say nothing; the exit status tells.")
def verify(file: Path, keys: tuple[str, ...], events: Path | None, quiet: bool) -> None:
    """Check the evidence bundle FILE. Needs no network and no running Pantau.

    The first line says what could not be known; MADE UP names footage of a demo.
    Exit status: 0 intact, 1 altered (and it says where), 2 unreadable.
    """
    from services.contracts.errors import PantauError
    from services.footage.evidence.report import moment
    from services.footage.evidence.seals import ReceivedSeals
    from services.footage.evidence.verify import UnreadableError
    from services.footage.evidence.verify import verify as check

    def say(text: str) -> None:
        if not quiet:
            click.echo(one_line(text))

    trusted = frozenset(map(public_key, keys))
    try:
        received = ReceivedSeals.read(events) if events is not None else None
    except (PantauError, OSError) as error:
        raise click.BadParameter(str(error), param_hint="--events") from error
    try:
        verdict = check(file, trusted_keys=trusted, received=received)
    except UnreadableError as error:
        click.echo(one_line(f"unreadable: {error.message}"), err=True)
        sys.exit(UNREADABLE)
    unknown = dict.fromkeys(what for each in (verdict, *verdict.bundles.values()) for what in each.unknown)
    if unknown:
        say(f"not known: {'; '.join(unknown)}")
    made_up = Counter[str]()
    for _, each in verdict.each:
        made_up += each.made_up
    for name, count in made_up.items():
        say(f"MADE UP  {name}: {count} files are a demo's, and no camera took these pictures at that time")
    for file_name, each in verdict.each:
        manifest = each.manifest
        if manifest is None:
            continue
        if file_name:
            say(f"file     {file_name}")
        say(f"bundle   {manifest.bundle}, made {moment(manifest.created_us)} by {manifest.software}")
        say(f"asked by {manifest.asked_by} ({manifest.role}): {manifest.reason or 'no reason given'}")
        say(f"range    {moment(manifest.from_us)} to {moment(manifest.to_us)}")
        for camera in manifest.cameras:
            thinned = " (thinned)" if any(part.statement.tier != "full" for part in camera.parts) else ""
            damaged_us = each.damaged_us.get(camera.camera, 0)
            damaged = f", {damaged_us / 1e6:.1f} s of pictures marked as damaged" if damaged_us else ""
            say(f"camera   {camera.camera}: {len(camera.parts)} files{thinned}, {len(camera.gaps)} gaps told{damaged}")
        for name, public in manifest.keys.items():
            say(f"key      {name} {public}{'' if keys else ' (not compared with any you trust; see --key)'}")
    if verdict.intact:
        besides = ", and not all were recorded: see MADE UP above" if made_up else ""
        how = "recorded" if trusted and not made_up else "signed"
        fragments = sum(each.fragments for _, each in verdict.each)
        say(f"intact: {fragments} fragments are as they were {how}{besides}")
        sys.exit(INTACT)
    for finding in verdict.findings:
        say(f"altered: {finding.where}: {finding.what}")
    for file_name, each in verdict.bundles.items():
        for finding in each.findings:
            say(f"altered: {file_name}: {finding.where}: {finding.what}")
    sys.exit(ALTERED)


def one_line(text: str) -> str:
    """Without what moves a terminal's cursor or turns its text round: words in a bundle write no verdict."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def public_key(key: str) -> str:
    """A public key given as itself or as the file that holds it."""
    from services.footage.evidence.verify import is_key

    text = key.strip().lower()
    if not is_key(text):
        try:
            text = Path(key).read_text().strip().lower()
        except (OSError, UnicodeDecodeError):
            text = ""
    if not is_key(text):
        raise click.BadParameter(f"{key} is neither 64 hexadecimal digits nor a file with them", param_hint="--key")
    return text
