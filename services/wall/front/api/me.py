"""``/api/v1/me``: the signed-in person, and what the page needs for a session."""

from aiohttp import web
from pydantic import BaseModel, ConfigDict

import services
from services.contracts.permissions import Right, Role
from services.wall.front.context import FrontRequest
from services.wall.front.http.route import json_response
from services.wall.front.ice import IceServer


class Me(BaseModel):
    """The signed-in person and the site's facts."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    name: str
    role: Role
    locale: str | None = None
    """id or en, where the account says so; else the browser's own."""
    site: str
    """Owner of cameras that name no other."""
    time_zone: str
    """IANA name: the page shows and takes times in this zone."""
    session: str
    """Id of the sign-in; empty on a wall without accounts."""
    rights: list[Right]
    """The rights to some camera at least."""
    password_changeable: bool
    """Whether the page may change the password."""
    totp: bool
    """Whether the account has a second factor."""
    by_provider: bool
    """Whether the identity provider has signed this browser in."""
    version: str
    ice_servers: list[IceServer]
    """Their credentials expire: ask again before every session."""


async def me(request: FrontRequest) -> web.Response:
    """Answers with `Me`."""
    front, actor = request.front, request.actor
    account = front.identity.accounts.by_name(actor.name) if actor.session else None
    sign_in = front.identity.sign_ins.get(actor.session)
    return json_response(
        Me(
            name=actor.name,
            role=actor.role,
            locale=front.identity.locale(actor),
            site=front.home,
            time_zone=front.settings.time_zone,
            session=actor.session,
            rights=sorted(actor.rights or ()),
            password_changeable=account is not None and account.source == "registry" and account.password is not None,
            totp=account is not None and account.totp is not None,
            by_provider=sign_in is not None and sign_in.by_provider,
            version=services.__version__,
            ice_servers=front.ice.for_viewer(actor.name),
        )
    )
