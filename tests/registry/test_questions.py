"""Every question over NATS in the name of every role, tried for real: what its permission says, both ways."""

import asyncio
from collections.abc import Sequence

import pytest

from services.contracts import subjects
from services.contracts.errors import ForbiddenError, PantauError, UnavailableError
from services.contracts.permissions import Actor, Right, Role
from services.mesh import rpc
from services.mesh.bus import Bus
from services.mesh.settings import MeshSettings
from tests.registry.running import registry
from tools.rights import Question, questions

ASKERS = (
    *(Actor(role.value, role) for role in Role),
    *(Actor("granted", Role.AGENCY, rights=frozenset({right})) for right in Right),
    Actor("scoped", Role.ADMIN, scope=frozenset({Right.LIVE})),
)


def of_every_registry(question: Question) -> bool:
    """Whether each registry answers it; an owner's questions are answered where the mesh has joined a hub."""
    return question.module.startswith("services.registry.") and question.module != "services.registry.owner"


async def refuses(bus: Bus, service: str, question: Question, actor: Actor) -> bool:
    """Whether the service refuses the question in the name of ``actor``, which may ask it wrongly."""
    try:
        await rpc.call(
            bus, subjects.rpc("city", service, question.name), rpc.Nothing(), rpc.Nothing, actor=actor,
            timeout_seconds=30,
        )  # fmt: skip
    except UnavailableError:
        raise
    except PantauError as error:
        return isinstance(error, ForbiddenError)
    return False


async def wrong(bus: Bus, service: str, asked: Sequence[Question]) -> list[tuple[str, Actor]]:
    """The questions that are answered to whom the table does not name, or refused to whom it names."""
    pairs = [(question, actor) for question in asked for actor in ASKERS]
    refused = await asyncio.gather(*(refuses(bus, service, question, actor) for question, actor in pairs))
    return [
        (question.name, actor)
        for (question, actor), no in zip(pairs, refused, strict=True)
        if no is actor.may(question.permission)
    ]


async def test_the_registry_answers_whom_the_table_names_and_nobody_else(mesh_settings: MeshSettings, bus: Bus) -> None:
    own = [question for question in questions() if of_every_registry(question)]
    assert len(own) > 40
    async with registry(mesh_settings):
        assert await wrong(bus, "registry", own) == []


async def test_other_services_questions_are_answered_to_whom_the_table_names_and_nobody_else(bus: Bus) -> None:
    others = [question for question in questions() if not of_every_registry(question)]
    assert {question.module.split(".")[1] for question in others} == {"ingest", "recorder", "registry", "wall"}

    async def answer(_question: rpc.Nothing, _actor: Actor) -> rpc.Nothing:
        return rpc.Nothing()

    async with asyncio.TaskGroup() as tasks:
        endpoints = [rpc.Endpoint(each.name, rpc.Nothing, answer, each.permission) for each in others]
        service = await rpc.serve(bus, tasks, home="city", service="others", endpoints=endpoints)
        assert await wrong(bus, "others", others) == []
        await service.stop()


@pytest.mark.parametrize("actor", [Actor("agency", Role.AGENCY), Actor("scoped", Role.ADMIN, scope=frozenset())])
def test_who_has_no_right_may_ask_what_everybody_may_and_nothing_else(actor: Actor) -> None:
    allowed = {question.name for question in questions() if actor.may(question.permission)}
    assert allowed == {
        "accounts-password",
        "accounts-totp",
        "layouts-list",
        "layouts-get",
        "layouts-save",
        "layouts-update",
        "layouts-remove",
        "layouts-open",
        "tours-list",
        "tours-get",
        "session-close",
    }
