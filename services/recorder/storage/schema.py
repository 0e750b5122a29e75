"""Bringing a SQLite file's schema up to date."""

import sqlite3
from collections.abc import Iterator, Sequence


class SchemaError(sqlite3.DatabaseError):
    """The file was written by a newer version of this program."""


def migrate(connection: sqlite3.Connection, steps: Sequence[str]) -> None:
    """Executes the steps that the file lacks; ``user_version`` counts them.

    The version is read in the transaction that changes it, so several processes may open a new file at once.
    Raises `SchemaError`, ``sqlite3.Error``.
    """
    if _version(connection, steps) == len(steps):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number, step in enumerate(steps[_version(connection, steps) :], _version(connection, steps) + 1):
            for statement in _statements(step):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection, steps: Sequence[str]) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(steps):
        raise SchemaError(f"the file has schema {version}, this program knows up to {len(steps)}; use a newer one")
    return version


def _statements(script: str) -> Iterator[str]:
    """A script's statements, each of which ends at the end of a line (``executescript`` would commit first)."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
