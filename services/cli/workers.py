"""``pantau workers``: who reads and records cameras, and emptying or retiring one, from a shell."""

import json
from typing import Any, Final
from urllib.parse import quote

import click

from services.cli.client import Client, RefusedError, client_command
from services.cli.table import echo_table

_HEADERS: Final = ("ROLE", "WORKER", "MACHINE", "STATE", "CAMERAS", "CAPACITY", "LOAD", "OVERLOADED")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print what the API answers.")


@click.group()
def workers() -> None:
    """List, drain and retire ingest workers and recorders, through the wall's HTTP API.

    Exit status: 0 done, 1 refused, 2 the command line is wrong, 3 no wall answers.
    """


@workers.command("list")
@_json_option
@client_command
async def list_workers(client: Client, as_json: bool) -> None:
    """List ingest workers and recorders with what they hold."""
    answer = await client.call("GET", "/workers")
    if as_json:
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        echo_table(_HEADERS, [_row(worker) for worker in answer["workers"]])


def _row(worker: dict[str, Any]) -> tuple[str, ...]:
    names = ("role", "worker", "machine", "state", "cameras", "capacity")
    return (*(str(worker[name]) for name in names), f"{worker['load']:.2f}", str(worker["overloaded"]))


def _command(verb: str, text: str) -> None:
    @workers.command(verb, help=text)
    @click.argument("name")
    @click.option("--machine", is_flag=True, help="NAME is a machine: all workers on it.")
    @client_command
    async def order(client: Client, name: str, machine: bool) -> None:
        if machine:
            await client.call("POST", f"/machines/{quote(name, safe='')}/{verb}")
            return
        known = (await client.call("GET", "/workers"))["workers"]
        roles = [worker["role"] for worker in known if worker["worker"] == name]
        if len(roles) != 1:
            raise RefusedError(
                f"there is no worker {name}" if not roles else f"{name} names several workers", status=404
            )
        await client.call("POST", f"/workers/{roles[0]}/{name}/{verb}")


_command("drain", "Give the worker NAME no more cameras, and its own to others, a few at a time.")
_command("undrain", "Give the worker NAME cameras again, also where it was retired.")
_command("retire", "Take the worker NAME out of service for good. Refused while it still holds cameras.")
