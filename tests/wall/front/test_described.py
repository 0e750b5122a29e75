"""What the OpenAPI document describes is what is served: requests made from it, sent as everybody.

schemathesis makes the requests, good and bad ones, the same each time. None may end in 500, with a status that the
document does not name, or with a body, a media type or headers other than the document's.
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import checks
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode

from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from services.wall.front.api.sessions import SDP, SDP_FRAGMENT
from services.wall.front.auth import cookies
from services.wall.front.http import openapi
from services.wall.front.routes import ROUTES
from tests.registry.running import registry
from tests.wall.front.running import running_front
from tests.wall.front.test_rights import GRANTED, HIDDEN, Headers, people, put

EXAMPLES: Final = 3
"""Good requests and bad ones of each operation, each sent as everybody."""
CHECKS: Final = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
AnyCase = schemathesis.Case[Any]
STREAMED: Final = frozenset((route.method, route.path) for route in ROUTES if route.streamed)
OURS: Final = {"camera": (GRANTED, HIDDEN), "grant": ("default-viewer",), "name": ("viewer",)}
"""What there is, for parts of paths: generated names name nothing."""


@schemathesis.serializer(SDP, SDP_FRAGMENT)
def _as_text(_context: schemathesis.SerializationContext, value: object) -> bytes:
    return str(value).encode("utf-8", "replace")


class Crowd:
    """Sends a request as everybody at once, each over a connection of their own, and collects what is wrong."""

    def __init__(self, url: str, known: Mapping[str, Headers]) -> None:
        self.wrong: list[str] = []
        self._url = url
        self._known = known
        self._sessions = {name: requests.Session() for name in known}
        self._threads = ThreadPoolExecutor(len(known))

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()
        for session in self._sessions.values():
            session.close()

    def send(self, case: AnyCase) -> None:
        """Sends it."""
        list(self._threads.map(lambda name: self._send_as(name, case), self._known))

    def _send_as(self, name: str, case: AnyCase) -> None:
        request: dict[str, Any] = case.as_transport_kwargs(base_url=self._url, headers=self._known[name])
        streamed = (case.method.upper(), case.operation.path) in STREAMED
        with self._sessions[name].request(**request, timeout=60, allow_redirects=False, stream=streamed) as answer:
            if streamed and answer.ok:
                return
            what = f"{case.operation.label} as {name}: {answer.status_code}"
            if answer.status_code == 500:
                self.wrong.append(f"{what}\n{request}")
            try:
                case.validate_response(answer, checks=CHECKS, transport_kwargs=request)
            except FailureGroup as group:
                self.wrong.append(f"{what}: {group.exceptions}\n{request}")


def send_everything(url: str, known: Mapping[str, Headers]) -> list[str]:
    """Sends requests for every operation; returns what was wrong, with the request."""
    described = schemathesis.openapi.from_dict(openapi.document(ROUTES, cookie=cookies.NAME))
    settings = hypothesis.settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    with Crowd(url, known) as crowd:
        for found in described.get_all_operations():
            assert isinstance(found, Ok), found
            operation = found.ok()
            modes = GenerationMode if operation.path.startswith("/api/") else (GenerationMode.POSITIVE,)
            for mode in modes:

                @settings
                @hypothesis.given(case=operation.as_strategy(generation_mode=mode), data=st.data())
                def send(case: AnyCase, data: st.DataObject) -> None:
                    for part in OURS.keys() & case.path_parameters.keys():
                        ours = st.sampled_from((case.path_parameters[part], *OURS[part]))
                        case.path_parameters[part] = data.draw(ours)
                    crowd.send(case)

                with suppress(Unsatisfiable):  # nothing about this operation can be wrong
                    send()
        return crowd.wrong


# Strategies are drawn from in one thread while the front, in another one, uses `random` for its own waits.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module:hypothesis.errors.HypothesisDeprecationWarning")
@pytest.mark.timeout(480)
async def test_everybody_is_answered_as_the_document_says(
    mesh_settings: MeshSettings, bus: Bus, tmp_path: Path
) -> None:
    path, known = people(tmp_path)
    async with registry(mesh_settings):
        await put(bus)
        async with running_front(mesh_settings, accounts_file=path) as front:
            wrong = await asyncio.to_thread(send_everything, front.url, known | {"nobody": {}})
    assert not wrong, "\n\n".join(wrong[:5])
