"""The registry: wires its parts and owns their lifecycle.

Any number may run. A queue group shares the questions among them, and each follows the buckets. The leader alone
observes states, assigns cameras and ends holds.
"""

import asyncio
from typing import Final

from services.contracts import subjects
from services.contracts.errors import UnavailableError
from services.contracts.imports import ImportFile
from services.contracts.models import WorkerLease
from services.contracts.sites import SERVICE as OWNER
from services.contracts.troubles import Trouble
from services.mesh import rpc
from services.mesh.backoff import Backoff
from services.mesh.buckets import Bucket, make_buckets
from services.mesh.bus import Bus
from services.mesh.event_stream import EventOutbox, StreamLimits, ensure_stream
from services.mesh.leases import Leadership, Lease, Workers, new_incarnation
from services.mesh.lifecycle import Service
from services.mesh.log import get_logger
from services.mesh.metrics import gauge
from services.mesh.presence import Presence
from services.mesh.tasks import end
from services.mesh.troubles import tell_troubles
from services.registry.accounts import Accounts
from services.registry.acknowledgements import Acknowledgements
from services.registry.assignments import Assigner
from services.registry.audit_digests import AuditDigests
from services.registry.audit_stream import AuditStream
from services.registry.catalogue import CameraCatalogue
from services.registry.endpoints import AccessEndpoints, WallEndpoints, endpoints
from services.registry.grants import Grants
from services.registry.imports import KEY_FILE, SEALS, Imports, own_keys
from services.registry.incidents import Incidents
from services.registry.layouts import Layouts
from services.registry.ledger import Ledgers
from services.registry.orders import WorkerOrders
from services.registry.owner import OwnerAnswers
from services.registry.promises import Promises
from services.registry.reach import StoreReach
from services.registry.screens import Screens
from services.registry.second_factors import SecondFactors
from services.registry.secrets import SecretStore
from services.registry.settings import RegistrySettings
from services.registry.sites import SiteMirrors
from services.registry.states import StateObserver
from services.registry.tours import Tours
from services.registry.worker_loads import WorkerLoads

log = get_logger()
STANDBY_SECONDS: Final = 1.0
"""How often a registry that does not lead asks whether workers are still connected, to know it when it must lead."""
_leads = gauge("registry_leading", "1 while this registry is the leader")


async def run(service: Service, settings: RegistrySettings) -> None:
    """Serves until ``service.stopping``; then gives up its lead at once and sends the events that are left."""
    bus, clock, home = service.bus, service.clock, service.home
    answering = False
    service.health.add("catalogue", lambda: None if answering else "not read yet, so nothing is answered")
    await make_buckets(bus)
    secrets = await SecretStore.open(bus, service.settings.data)

    import_keys = own_keys(service.settings.data / KEY_FILE)
    me = WorkerLease(
        role="registry",
        worker=service.worker,
        incarnation=new_incarnation(),
        detail={SEALS: import_keys.current.public.hex()},
    )
    lease = Lease(bus, home, lambda: me, clock=clock)
    workers = Workers(bus, home, clock=clock)
    registries = Presence(bus, workers, "registry", asking=lambda: True, me=me.worker)
    leadership = Leadership(lease, workers, me, gone=registries.gone)
    _leads.set_function(lambda: leadership.leading)
    # A machine is lost with all that is on it: who may have to lead in a moment asks for its workers at the same time.
    presence = Presence(
        bus,
        workers,
        "ingest",
        asking=lambda: leadership.leading or registries.in_doubt,
        else_every_seconds=STANDBY_SECONDS,
    )
    reach = StoreReach(bus, clock)

    def telling() -> bool:
        return leadership.leading and reach.reached

    outbox = EventOutbox(bus, source=f"/registry/{service.worker}")

    ledgers = await Ledgers.open(bus, home)
    second_factors = await SecondFactors.open(
        bus, ledgers.accounts, service.settings.data, service.settings.machine, clock
    )
    assigner = Assigner(
        bus=bus,
        home=home,
        ledgers=ledgers,
        workers=workers,
        presence=presence,
        registries=registries,
        leading=lambda: leadership.leading,
        settings=settings,
        clock=clock,
    )
    observer = StateObserver(
        bus=bus,
        home=home,
        ledgers=ledgers,
        workers=workers,
        outbox=outbox,
        leading=lambda: leadership.leading,
        telling=telling,
        clock=clock,
    )
    catalogue = CameraCatalogue(home=home, ledgers=ledgers, secrets=secrets, outbox=outbox, clock=clock)
    casebook = Incidents(
        home=home,
        ledgers=ledgers,
        outbox=outbox,
        leading=telling,
        grace_seconds=settings.incident_grace_days * 86400,
        clock=clock,
    )

    audit_stream = AuditStream(
        bus=bus,
        leading=lambda: leadership.leading,
        seals_seconds=settings.seals_max_days * 86400,
        clock=clock,
    )
    audit_digests = AuditDigests(
        bus=bus,
        home=home,
        workers=workers,
        outbox=outbox,
        leading=telling,
        clock=clock,
    )
    promises = Promises(
        bus=bus,
        home=home,
        ledgers=ledgers,
        workers=workers,
        outbox=outbox,
        leading=telling,
        clock=clock,
    )

    loads = WorkerLoads(bus=bus, home=home, workers=workers, outbox=outbox, telling=telling, clock=clock)

    tasks = service.tasks
    sending = tasks.create_task(_send_events(bus, settings, outbox), name="outbox")
    followers = [
        tasks.create_task(part.run(), name=name)
        for name, part in (
            ("cameras", ledgers.cameras),
            ("assignments", ledgers.assignments),
            ("states", ledgers.states),
            ("told", ledgers.told),
            ("incidents", ledgers.incidents),
            ("layouts", ledgers.layouts),
            ("persons", ledgers.persons),
            ("screens", ledgers.screens),
            ("tours", ledgers.tours),
            ("accounts", ledgers.accounts),
            ("orders", ledgers.orders),
            ("sealing keys", secrets),
            ("second factors", second_factors),
            ("grants", ledgers.grants),
            ("import jobs", ledgers.imports),
            ("joined sites", ledgers.sites),
            ("workers", workers),
        )
    ]
    buckets = (ledgers.cameras, ledgers.assignments, ledgers.states, ledgers.incidents)
    shared = (ledgers.layouts, ledgers.persons, ledgers.screens, ledgers.tours)
    saved = (*shared, ledgers.accounts, ledgers.grants, ledgers.orders, ledgers.imports, ledgers.sites)
    read = [part.ready for part in (*buckets, *saved, secrets, workers)]
    await _all(read, service.stopping)
    if service.stopping.is_set():
        return
    walls = WallEndpoints(
        Layouts(ledgers, clock),
        Tours(ledgers, clock),
        Screens(ledgers, clock),
        await Acknowledgements.open(bus, home=home, outbox=outbox, clock=clock),
    )
    orders = WorkerOrders(home=home, ledgers=ledgers, workers=workers, outbox=outbox, clock=clock)
    imports = Imports(
        me=service.worker,
        ledgers=ledgers,
        catalogue=catalogue,
        workers=workers,
        files=await Bucket.open(bus, subjects.IMPORT_FILES_BUCKET, ImportFile),
        keys=import_keys,
        clock=clock,
    )
    sites = SiteMirrors(
        bus=bus,
        home=home,
        ledgers=ledgers,
        outbox=outbox,
        leading=lambda: leadership.leading,
        clock=clock,
    )
    access = AccessEndpoints(Accounts(ledgers, second_factors, clock), Grants(ledgers, clock), sites)
    answers = endpoints(catalogue, imports, orders, casebook, walls, access)
    micro = await rpc.serve(bus, tasks, home=home, service="registry", endpoints=answers)
    own = OwnerAnswers(bus=bus, home=home, ledgers=ledgers, workers=workers, outbox=outbox)
    to_hub = await rpc.serve(bus, tasks, home=home, service=OWNER, endpoints=own.endpoints())
    answering = True
    # The leader acts only after all is read: one that has not seen a worker would take its cameras away.
    leading = [
        tasks.create_task(part.run(), name=name)
        for name, part in (
            ("lease", lease),
            ("reach", reach),
            ("registries", registries),
            ("presence", presence),
            ("assigner", assigner),
            ("observer", observer),
            ("imports", imports),
            ("holds", casebook),
            ("promises", promises),
            ("worker loads", loads),
            ("sites", sites),
            ("audit stream", audit_stream),
            ("audit digests", audit_digests),
        )
    ]

    def troubles() -> list[Trouble]:
        return [*assigner.troubles(), *audit_stream.troubles()]

    telling_troubles = tell_troubles(bus, home, f"registry {service.worker}", troubles)
    leading.append(tasks.create_task(telling_troubles, name="troubles"))
    await service.stopping.wait()
    await micro.stop()
    await to_hub.stop()
    await end(leading)
    await lease.release()
    await outbox.flush()
    await end([*followers, sending])


async def _send_events(bus: Bus, settings: RegistrySettings, outbox: EventOutbox) -> None:
    """Makes the streams, which wait while their disk is full, and then sends what is posted."""
    again = Backoff(0.5)
    while True:
        try:
            await ensure_stream(
                bus,
                StreamLimits(
                    events_seconds=settings.events_max_days * 86400,
                    events_bytes=settings.events_max_megabytes * 1024**2,
                    events_per_subject=settings.events_max_per_subject,
                    audit_seconds=settings.audit_max_days * 86400,
                    audit_bytes=settings.audit_max_megabytes * 1024**2,
                ),
            )
            break
        except UnavailableError as error:
            log.warning("events.stream_waiting", error=error)
            await asyncio.sleep(again.next_seconds())
    await outbox.run()


async def _all(events: list[asyncio.Event], stopping: asyncio.Event) -> None:
    """Returns when all events are set, or ``stopping`` is."""
    stop = asyncio.ensure_future(stopping.wait())
    ready = asyncio.gather(*(event.wait() for event in events))
    await asyncio.wait((stop, ready), return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    ready.cancel()
