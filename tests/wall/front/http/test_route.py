"""What a handler gets of a request: query and body as the types that its route declares."""

from typing import Annotated

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from pydantic import BaseModel, Field

from services.contracts.permissions import Actor, Role
from services.wall.front.http.errors import FieldsError, UnsupportedTypeError
from services.wall.front.http.route import JSON, Answer, Route, RoutedRequest


class SomeQuery(BaseModel):
    """A query with fields of every kind."""

    one: str = ""
    several: tuple[str, ...] = ()
    several_or_none: list[str] | None = None
    limited: Annotated[list[int], Field(max_length=3)] | None = None


async def nothing(_request: RoutedRequest) -> web.StreamResponse:
    """A handler that is never called."""
    raise AssertionError


ROUTE: Route[RoutedRequest] = Route(
    "POST", "/things", nothing, None, "Things", {200: Answer("Done")}, query=SomeQuery, body={JSON: None}
)


def request(query: str = "", **headers: str) -> RoutedRequest:
    """A request held against `ROUTE`."""
    raw = make_mocked_request("POST", f"/things?{query}", headers=headers)
    return RoutedRequest(raw, Actor("nobody", Role.VIEWER), ROUTE)


def test_a_query_keeps_every_value_of_a_list_also_of_one_that_may_be_none() -> None:
    query = request("one=a&several=b&several=c&several_or_none=d&several_or_none=e&limited=1").query(SomeQuery)
    assert query == SomeQuery(one="a", several=("b", "c"), several_or_none=["d", "e"], limited=[1])


def test_a_query_without_a_list_that_may_be_none_has_none() -> None:
    assert request().query(SomeQuery).several_or_none is None


def test_a_wrong_value_is_refused_by_its_fields_name() -> None:
    with pytest.raises(FieldsError) as refused:
        request("limited=1&limited=two").query(SomeQuery)
    assert refused.value.fields[0].field.startswith("limited.")


def test_a_query_that_the_route_does_not_declare_is_a_mistake_of_the_handler() -> None:
    class OtherQuery(BaseModel):
        """Not the route's."""

    with pytest.raises(AssertionError):
        request().query(OtherQuery)


def test_a_body_of_another_type_is_refused_and_told_what_would_do() -> None:
    assert request(**{"Content-Type": JSON}).body_type() == JSON
    with pytest.raises(UnsupportedTypeError) as refused:
        request(**{"Content-Type": "text/plain"}).body_type()
    assert refused.value.headers == {"Accept-Post": JSON}
