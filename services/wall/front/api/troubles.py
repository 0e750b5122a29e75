"""``/api/v1/troubles``: what ails the mesh itself just now."""

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from services.contracts.troubles import Trouble
from services.wall.front.context import FrontRequest
from services.wall.front.http.route import json_response


class TroublesView(BaseModel):
    """All troubles; empty where all is well."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    troubles: list[Trouble]


async def troubles(request: FrontRequest) -> web.Response:
    """Answers with `TroublesView`."""
    return json_response(TroublesView(troubles=request.front.troubles.current()))
