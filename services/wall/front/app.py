"""The front: HTTP for people, players and programs. Wires its parts and owns its lifecycle."""

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable, Sequence, Set
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

from services.contracts import subjects
from services.contracts.accounts import RegistryAccount, SignIn
from services.contracts.acknowledgements import Acknowledgement
from services.contracts.errors import ForbiddenError
from services.contracts.events import WALL_TARGET
from services.contracts.exports import ExportJob
from services.contracts.models import Assignment, Camera, CameraState
from services.contracts.permissions import Actor, Right, Role
from services.contracts.rights import Grant, RightsBook
from services.contracts.screens import Screen
from services.mesh.buckets import Bucket, Mirror
from services.mesh.event_stream import EventOutbox
from services.mesh.http_site import listen
from services.mesh.leases import Workers
from services.mesh.lifecycle import Service
from services.mesh.log import get_logger
from services.mesh.settings import SettingsError
from services.mesh.states import StateMirror
from services.mesh.tasks import end
from services.mesh.troubles import TroubleBook
from services.wall.front.api import static
from services.wall.front.auth import cookies
from services.wall.front.auth.accounts import AccountsFile
from services.wall.front.auth.directory import AccountDirectory
from services.wall.front.auth.identity import Identity
from services.wall.front.auth.oidc import OidcProvider
from services.wall.front.auth.sign_ins import SignIns
from services.wall.front.context import Front, FrontRequest
from services.wall.front.event_feed import EventFeed
from services.wall.front.http import openapi, problems
from services.wall.front.http.audit_gate import AuditGate
from services.wall.front.http.client import Clients
from services.wall.front.http.connections import BoundedRunner, ConnectionLimits
from services.wall.front.http.errors import UnauthorizedError
from services.wall.front.http.guard import SAFE_METHODS, Guard, add_headers, is_loopback
from services.wall.front.http.route import Route
from services.wall.front.http.shares import FrontShares
from services.wall.front.http.tls import ServedCertificate
from services.wall.front.http.tls_site import TlsSite
from services.wall.front.hub_bundles import HubBundles
from services.wall.front.ice import IceServers
from services.wall.front.pictures.snapshot_cache import SnapshotCache
from services.wall.front.pictures.thumbnails import ThumbnailCache
from services.wall.front.relays import Relays
from services.wall.front.routes import ROUTES
from services.wall.front.screen_feed import ScreenFeed
from services.wall.settings import WallSettings

log = get_logger()

SHUTDOWN_SECONDS: Final = 1.0
"""Time for open requests to end after streams and sockets were closed."""
OPEN_TO_STRANGERS: Final = (
    "wall.http (PANTAU_WALL_HTTP) is {http}, which others can reach, and there are no accounts: anybody could watch "
    "and administer. Make accounts with 'pantau accounts add', in the registry or in a file that "
    "PANTAU_WALL_ACCOUNTS_FILE names, or listen on 127.0.0.1"
)
TOLD_ELSEWHERE: Final = (
    "/api/v1/cameras", "/api/v1/exports", "/api/v1/incidents", "/api/v1/wall/sessions", "/whep/", "/api/v1/workers",
    "/api/v1/machines", "/api/v1/sign-in",
)  # fmt: skip
"""Paths whose changes and views are told to the audit by who makes them: the registry, relays, a handler."""
NO_CHANGE: Final = ("/here", "/open")
NOBODY: Final = Actor("nobody", Role.VIEWER)
"""The actor on routes without a permission."""


def build(front: Front, routes: Sequence[Route[FrontRequest]] = ROUTES) -> web.Application:
    """The aiohttp application that serves ``routes``."""
    shared = {route.path for route in routes if route.cross_origin}

    def cross_origin(request: web.Request) -> bool:
        resource = request.match_info.route.resource
        return resource is not None and resource.canonical in shared

    @web.middleware
    async def guard(request: web.Request, handler: problems.Handler) -> web.StreamResponse:
        front.guard.check_request(request, cross_origin=cross_origin(request))
        return await handler(request)

    async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
        add_headers(request, response, front.guard, cross_origin=cross_origin(request))
        if front.settings.https_hsts_days and front.identity.clients.is_secure(request):
            response.headers["Strict-Transport-Security"] = f"max-age={front.settings.https_hsts_days * 86400}"

    app = web.Application(middlewares=[problems.middleware, guard])
    app.on_response_prepare.append(on_prepare)
    for route in routes:
        handler = dispatch(front, route)
        app.router.add_route(route.method, route.path, handler)
        if route.method == hdrs.METH_GET and not route.streamed:
            app.router.add_route(hdrs.METH_HEAD, route.path, handler)
    for path in {route.path for route in routes if "{" not in route.path}:
        methods = {route.method for route in app.router.routes() if _is_path(route, path)}
        app.router.add_route("*", path, refuse_method(methods))
    return app


def _is_path(route: web.AbstractRoute, path: str) -> bool:
    return route.resource is not None and route.resource.canonical == path


def refuse_method(methods: Set[str]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of a path's other methods: ``/sign-out`` is no ``/{name}``, whose methods it does not take."""

    async def refuse(request: web.Request) -> web.StreamResponse:
        raise web.HTTPMethodNotAllowed(request.method, methods)

    return refuse


def dispatch(front: Front, route: Route[FrontRequest]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of a route behind the one permission check."""

    told_elsewhere = route.path.startswith(TOLD_ELSEWHERE) or route.path.endswith(NO_CHANGE)
    changes = route.method not in SAFE_METHODS and not told_elsewhere

    async def handle(request: web.Request) -> web.StreamResponse:
        if route.permission is not None:
            found = await front.identity.identify(request)
            if found is None:
                raise UnauthorizedError("not signed in", headers={hdrs.WWW_AUTHENTICATE: _challenge(request)})
            actor = found._replace(rights=front.rights.rights_of(found, front.clock.now_us()))
            asked = FrontRequest(request, actor, route, front)
            try:
                actor.require(route.permission)
                if isinstance(route.permission, Right) and "camera" in request.match_info:
                    asked.require(route.permission, asked.path_id("camera"))
                with front.shares.requests.one(actor.name):
                    response = await route.handler(asked)
            except ForbiddenError as error:
                why = {"request": asked.name, "why": error.message}
                # Paths can be made up without end, routes and cameras cannot.
                target = asked.target if front.cameras.get(asked.target) is not None else WALL_TARGET
                asked.audit_now_and_then("refused", target, why, f"{route.method} {route.path}")
                raise
            if changes:
                asked.audit("changed", asked.target, {"request": asked.name, "status": str(response.status)})
            return response
        return await route.handler(FrontRequest(request, NOBODY, route, front))

    return handle


def _challenge(request: web.BaseRequest) -> str:
    """How to sign in. A browser is offered Bearer: on Basic it would open its own dialog instead of our page."""
    return 'Bearer realm="Pantau"' if "Sec-Fetch-Mode" in request.headers else 'Basic realm="Pantau", charset="UTF-8"'


async def run(
    service: Service, settings: WallSettings, *, needs_relay: bool = False, static_folder: Path = static.FOLDER
) -> None:
    """The front's coroutine, see `services.mesh.lifecycle`; partially apply ``settings``.

    ``needs_relay``: it is not ready before a relay is.

    Raises `SettingsError` where it would stand open to strangers, `PortTakenError` where it cannot listen.
    """
    listening = asyncio.Event()
    service.health.add("front", lambda: None if listening.is_set() else "the front does not listen yet")
    bus = service.bus
    file = AccountsFile(settings.accounts_file, service.clock) if settings.accounts_file is not None else None
    accounts = AccountDirectory(await Bucket.open(bus, subjects.ACCOUNTS_BUCKET, RegistryAccount), file)
    sign_ins = SignIns(await Bucket.open(bus, subjects.SIGN_INS_BUCKET, SignIn), accounts, service.clock)
    local = is_loopback(settings.listen.host)
    served = ServedCertificate(*settings.https) if settings.https is not None else None
    clients = Clients(settings.trusted_proxies)
    provider = OidcProvider(settings, service.clock) if settings.oidc_issuer else None
    identity = Identity(accounts, sign_ins, clients, service.clock, local=local and provider is None)
    cameras = Mirror(await Bucket.open(bus, subjects.CAMERAS_BUCKET, Camera))
    states = StateMirror(await Bucket.open(bus, subjects.STATE_BUCKET, CameraState), service.home, figures=True)
    assignments = Mirror(await Bucket.open(bus, subjects.ASSIGNMENTS_BUCKET, Assignment))
    export_bucket = await Bucket.open(bus, subjects.EXPORTS_BUCKET, ExportJob)
    exports = Mirror(export_bucket)
    workers = Workers(bus, service.home, clock=service.clock)
    feed = EventFeed(bus, service.clock)
    acknowledged = Mirror(
        await Bucket.open(bus, subjects.ACKNOWLEDGED_BUCKET, Acknowledgement),
        lambda key, _value, _revision: feed.tell("events.acknowledged", f'{{"event":{json.dumps(key)}}}'),
    )
    rights = RightsBook()
    grant_bucket = await Bucket.open(bus, subjects.GRANTS_BUCKET, Grant)
    grants = Mirror(grant_bucket, lambda key, grant, _revision: rights.set_grant(key, grant))
    ending = asyncio.Event()
    snapshots = SnapshotCache(bus, service.clock)
    front = Front(
        bus=bus,
        home=service.home,
        settings=settings,
        clock=service.clock,
        cameras=cameras,
        states=states,
        assignments=assignments,
        troubles=TroubleBook(bus, service.home, service.clock),
        relays=Relays(bus, service.home, workers, service.clock),
        identity=identity,
        provider=provider,
        rights=rights,
        grants=grants,
        guard=Guard(is_local=lambda: identity.is_local, allowed_origins=settings.allowed_origins),
        ice=IceServers(
            settings.ice_servers,
            settings.turn_secret.get_secret_value(),
            settings.turn_ttl_seconds,
            service.clock,
        ),
        workers=workers,
        feed=feed,
        screens=ScreenFeed(await Bucket.open(bus, subjects.SCREENS_BUCKET, Screen)),
        acknowledged=acknowledged,
        outbox=EventOutbox(bus, source=f"/wall/{service.worker}"),
        shares=FrontShares(),
        audit_gate=AuditGate(service.clock),
        snapshots=snapshots,
        thumbnails=ThumbnailCache(bus, service.home, snapshots),
        exports=exports,
        export_bucket=export_bucket,
        stopping=ending,
        map_file=settings.map_file or service.settings.data / "map" / "city.pmtiles",
        static=static_folder,
        openapi=openapi.document(ROUTES, cookie=cookies.NAME),
    )
    followers = [
        service.tasks.create_task(cameras.run(), name="cameras"),
        service.tasks.create_task(states.run(), name="states"),
        service.tasks.create_task(assignments.run(), name="assignments"),
        service.tasks.create_task(workers.run(), name="workers"),
        service.tasks.create_task(exports.run(), name="exports mirror"),
        service.tasks.create_task(front.relays.presence.run(), name="presence"),
        service.tasks.create_task(front.feed.run(), name="events"),
        service.tasks.create_task(front.screens.run(), name="screens"),
        service.tasks.create_task(acknowledged.run(), name="acknowledged"),
        service.tasks.create_task(front.outbox.run(), name="outbox"),
        service.tasks.create_task(front.troubles.run(), name="troubles"),
        service.tasks.create_task(accounts.mirror.run(), name="accounts"),
        service.tasks.create_task(sign_ins.mirror.run(), name="sign-ins"),
        service.tasks.create_task(grants.run(), name="grants"),
    ]
    limits = ConnectionLimits(settings.connections_per_address, clients.is_proxy)
    runner = BoundedRunner(
        build(front),
        limits,
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=SHUTDOWN_SECONDS,
        keepalive_timeout=75,
    )
    await runner.setup()
    try:
        followed = (cameras, states, workers, exports, accounts.mirror, sign_ins.mirror, grants)
        await asyncio.gather(*(part.ready.wait() for part in followed))
        if accounts.is_empty and not local and provider is None:
            raise SettingsError(OPEN_TO_STRANGERS.format(http=settings.http))
        followers.append(service.tasks.create_task(sign_ins.keep(), name="sign-ins kept"))
        to_hub = HubBundles(bus, service.tasks, service.home, cameras=cameras, workers=workers, clock=service.clock)
        followers.append(service.tasks.create_task(to_hub.run(), name="bundles for the hub"))
        host, port = settings.listen
        make_site: Callable[[web.AppRunner, str, int], web.BaseSite] = web.TCPSite
        if served is not None:
            handshakes = ConnectionLimits(limits.per_address, limits.is_proxy)
            make_site = functools.partial(TlsSite, tls=served.context, handshakes=handshakes)
        bound = await listen(runner, host, port, what="the wall", setting="PANTAU_WALL_HTTP", make_site=make_site)
        if served is not None:
            followers.append(service.tasks.create_task(served.run(service.clock), name="certificate"))
        elif not local:
            log.warning(
                "front.plain_http",
                consequence="passwords and pictures can be read on the way, unless a proxy with TLS is in front",
                remedy="PANTAU_WALL_HTTPS_CERT and PANTAU_WALL_HTTPS_KEY; 'pantau ca' makes both",
            )
        if needs_relay:
            service.health.add("relay", lambda: None if front.relays.alive() else "no relay runs")
        service.health.note("troubles", front.troubles.text)
        listening.set()
        log.info("front.listening", host=host, port=bound, accounts=not accounts.is_empty)
        await service.stopping.wait()
    finally:
        ending.set()
        front.feed.end_followers()
        front.screens.end_followers()
        await runner.cleanup()
        front.snapshots.close()
        identity.close()
        if provider is not None:
            await provider.close()
        await front.outbox.flush(0.5)
        await end(followers)
