"""`pantau verify`: checks an evidence bundle offline."""

import sys
from pathlib import Path

import click

INTACT, ALTERED, UNREADABLE = 0, 1, 2


@click.command("verify")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="HEX",
    help="Public key of a recorder, known from elsewhere; then no other key is accepted. May be repeated.",
)
@click.option("--quiet", "-q", is_flag=True, help="Say nothing; the exit status tells.")
def verify(file: Path, keys: tuple[str, ...], quiet: bool) -> None:
    """Check the evidence bundle FILE. Needs no network and no running Pantau.

    Exit status: 0 intact, 1 altered (and it says where), 2 unreadable.
    """
    from services.footage.evidence.verify import UnreadableError, moment
    from services.footage.evidence.verify import verify as check

    say = (lambda _text: None) if quiet else click.echo
    try:
        verdict = check(file, trusted_keys=frozenset(key.lower() for key in keys))
    except UnreadableError as error:
        click.echo(f"unreadable: {error.message}", err=True)
        sys.exit(UNREADABLE)
    manifest = verdict.manifest
    if manifest is not None:
        say(f"bundle   {manifest.bundle}, made {moment(manifest.created_us)} by {manifest.software}")
        say(f"asked by {manifest.asked_by} ({manifest.role}): {manifest.reason or 'no reason given'}")
        say(f"range    {moment(manifest.from_us)} to {moment(manifest.to_us)}")
        for camera in manifest.cameras:
            thinned = " (thinned)" if any(part.statement.tier != "full" for part in camera.parts) else ""
            say(f"camera   {camera.camera}: {len(camera.parts)} files{thinned}, {len(camera.gaps)} gaps told")
        for name, public in manifest.keys.items():
            say(f"key      {name} {public}{'' if keys else ' (not compared with any you trust; see --key)'}")
    if verdict.intact:
        say(f"intact: {verdict.fragments} fragments are as they were recorded")
        sys.exit(INTACT)
    for finding in verdict.findings:
        say(f"altered: {finding.where}: {finding.what}")
    sys.exit(ALTERED)
