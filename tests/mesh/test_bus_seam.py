"""nats-py stays behind the bus: its private names in one module, its client and JetStream in few."""

import ast
import re
from pathlib import Path

SERVICES = Path(__file__).resolve().parents[2] / "services"


def foreign_private_names(path: Path) -> set[str]:
    """Underscored attributes that a module uses and does not define."""
    text = path.read_text()
    tree = ast.parse(text)
    own = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return {name for name in used - own if name.startswith("_") and not name.startswith("__")}


def test_private_names_of_nats_py_are_used_in_one_module() -> None:
    documented = {"_exit", "_asdict", "_fields", "_replace"}  # of os, and of every NamedTuple
    reaching = {path.name for path in (SERVICES / "mesh").glob("*.py") if foreign_private_names(path) - documented}
    assert reaching == {"nats_client.py"}


def modules_that_use(pattern: str) -> set[str]:
    return {str(path.relative_to(SERVICES)) for path in SERVICES.rglob("*.py") if re.search(pattern, path.read_text())}


def test_the_client_is_used_by_the_bus_and_its_endpoints_alone() -> None:
    assert modules_that_use(r"bus\.client\b") == {"mesh/rpc.py"}


def test_jetstream_is_used_by_the_buckets_and_the_event_stream_alone() -> None:
    assert modules_that_use(r"bus\.js\b") == {
        "mesh/agencies.py", "mesh/buckets.py", "mesh/event_stream.py", "mesh/following.py", "mesh/replicas.py",
    }  # fmt: skip


def test_the_key_value_store_is_used_by_the_buckets_alone() -> None:
    assert modules_that_use(r"\.kv\b") == {"mesh/buckets.py"}
