"""A file's schema is brought up to date once, also when others open it meanwhile."""

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from services.recorder.storage.schema import SchemaError, migrate

STEPS = (
    "CREATE TABLE a (x INTEGER);  -- a comment; with a semicolon\nCREATE TABLE b (\n  y INTEGER\n);\n",
    "CREATE TRIGGER follows AFTER INSERT ON a BEGIN\n  INSERT INTO b VALUES (new.x);\n  DELETE FROM a;\nEND;\n",
)


def connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)


def version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_each_step_is_executed_once_and_only_those_that_lack(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "file")) as connection:
        migrate(connection, STEPS[:1])
        assert version(connection) == 1
        migrate(connection, STEPS)
        migrate(connection, STEPS)
        assert version(connection) == 2
        connection.execute("INSERT INTO a VALUES (7)")
        assert connection.execute("SELECT y FROM b").fetchall() == [(7,)]


def test_two_processes_that_open_a_new_file_at_once_both_succeed(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "file")) as first, closing(connect(tmp_path / "file")) as second:
        first.execute("BEGIN IMMEDIATE")
        other = threading.Thread(target=migrate, args=(second, STEPS))
        other.start()
        time.sleep(0.2)  # it has read version 0 and waits for the lock
        first.execute("CREATE TABLE a (x INTEGER)")
        first.execute("CREATE TABLE b (y INTEGER)")
        first.execute("PRAGMA user_version = 1")
        first.execute("COMMIT")
        other.join(10)
        assert not other.is_alive()
        assert version(first) == 2


def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "file")) as connection:
        migrate(connection, STEPS[:1])
        with pytest.raises(sqlite3.OperationalError):
            migrate(connection, [STEPS[0], "CREATE TABLE c (z INTEGER);\nCREATE TABLE a (x INTEGER);\n"])
        assert version(connection) == 1
        assert not connection.execute("SELECT * FROM sqlite_master WHERE name = 'c'").fetchall()


def test_a_file_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "file")) as connection:
        migrate(connection, STEPS)
        with pytest.raises(SchemaError, match="use a newer one"):
            migrate(connection, STEPS[:1])
