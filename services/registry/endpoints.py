"""The registry's RPC endpoints, each with the permission that it needs."""

from typing import Any, NamedTuple

from services.contracts.accounts import (
    AccountInput,
    AccountKey,
    AccountUpdate,
    PasswordChange,
    ProviderSignIn,
    TotpChange,
    TotpUse,
)
from services.contracts.acknowledgements import AcknowledgeOrder
from services.contracts.catalogue import CameraInput, CameraKey, CameraQuery, CameraRemove, CameraUpdate, ImportRequest
from services.contracts.imports import ImportKey, ImportRowsQuery, ImportsQuery
from services.contracts.incidents import (
    ExportNote,
    IncidentInput,
    IncidentKey,
    IncidentQuery,
    IncidentUpdate,
    RemarkNote,
)
from services.contracts.layouts import LayoutInput, LayoutQuery, LayoutUpdate
from services.contracts.permissions import ANYBODY, Right, Role
from services.contracts.rights import GrantInput, GrantKey
from services.contracts.saved import SavedKey
from services.contracts.screens import ScreenKey, ScreenOrder, ScreenQuery, TourInput, TourQuery, TourUpdate
from services.contracts.sites import SiteInput, SiteKey
from services.contracts.workers import WorkerOrderRequest, WorkersQuery
from services.mesh.rpc import Endpoint, Nothing
from services.registry.accounts import Accounts
from services.registry.acknowledgements import Acknowledgements
from services.registry.catalogue import CameraCatalogue
from services.registry.grants import Grants
from services.registry.imports import Imports
from services.registry.incidents import Incidents
from services.registry.layouts import Layouts
from services.registry.orders import WorkerOrders
from services.registry.screens import Screens
from services.registry.sites import SiteMirrors
from services.registry.tours import Tours


class WallEndpoints(NamedTuple):
    """What is kept for walls."""

    layouts: Layouts
    tours: Tours
    screens: Screens
    acknowledgements: Acknowledgements


class AccessEndpoints(NamedTuple):
    """Who may sign in, and who may do what."""

    accounts: Accounts
    grants: Grants
    sites: SiteMirrors


def endpoints(
    catalogue: CameraCatalogue,
    imports: Imports,
    orders: WorkerOrders,
    incidents: Incidents,
    walls: WallEndpoints,
    access: AccessEndpoints,
) -> list[Endpoint[Any]]:
    """All endpoints. Closing an incident ends a hold, so it needs a higher role than opening one."""
    return [
        Endpoint("cameras-list", CameraQuery, catalogue.list, Role.VIEWER),
        Endpoint("cameras-get", CameraKey, catalogue.get, Role.VIEWER),
        Endpoint("cameras-add", CameraInput, catalogue.add, Role.ADMIN),
        Endpoint("cameras-update", CameraUpdate, catalogue.update, Role.ADMIN),
        Endpoint("cameras-remove", CameraRemove, catalogue.remove, Role.ADMIN),
        Endpoint("cameras-import", ImportRequest, catalogue.import_, Role.ADMIN),
        Endpoint("imports-start", ImportRequest, imports.start, Role.ADMIN),
        Endpoint("imports-list", ImportsQuery, imports.list_jobs, Role.ADMIN),
        Endpoint("imports-get", ImportKey, imports.get, Role.ADMIN),
        Endpoint("imports-rows", ImportRowsQuery, imports.rows, Role.ADMIN),
        Endpoint("imports-refused", ImportKey, imports.refused, Role.ADMIN),
        Endpoint("imports-cancel", ImportKey, imports.cancel, Role.ADMIN),
        Endpoint("workers-list", WorkersQuery, orders.list_workers, Role.VIEWER),
        Endpoint("workers-order", WorkerOrderRequest, orders.order, Role.ADMIN),
        Endpoint("incidents-list", IncidentQuery, incidents.list, Right.INCIDENTS),
        Endpoint("incidents-get", IncidentKey, incidents.get, Right.INCIDENTS),
        Endpoint("incidents-open", IncidentInput, incidents.open, Role.OPERATOR),
        Endpoint("incidents-update", IncidentUpdate, incidents.update, Role.OPERATOR),
        Endpoint("incidents-remark", RemarkNote, incidents.remark, Role.OPERATOR),
        Endpoint("incidents-exported", ExportNote, incidents.exported, (Right.CLIP, Right.EVIDENCE)),
        Endpoint("incidents-close", IncidentKey, incidents.close, Role.SUPERVISOR),
        Endpoint("incidents-reopen", IncidentKey, incidents.reopen, Role.SUPERVISOR),
        Endpoint("accounts-add", AccountInput, access.accounts.add, Role.ADMIN),
        Endpoint("accounts-update", AccountUpdate, access.accounts.update, Role.ADMIN),
        Endpoint("accounts-remove", AccountKey, access.accounts.remove, Role.ADMIN),
        Endpoint("accounts-password", PasswordChange, access.accounts.change_password, ANYBODY),
        Endpoint("accounts-totp", TotpChange, access.accounts.change_totp, ANYBODY),
        Endpoint("accounts-totp-use", TotpUse, access.accounts.use_totp, Role.ADMIN),
        Endpoint("accounts-provider", ProviderSignIn, access.accounts.sign_in_by_provider, Role.ADMIN),
        Endpoint("grants-add", GrantInput, access.grants.add, Role.ADMIN),
        Endpoint("grants-remove", GrantKey, access.grants.remove, Role.ADMIN),
        Endpoint("sites-list", Nothing, access.sites.list_sites, Role.ADMIN),
        Endpoint("sites-add", SiteInput, access.sites.add, Role.ADMIN),
        Endpoint("sites-remove", SiteKey, access.sites.remove, Role.ADMIN),
        Endpoint("events-acknowledge", AcknowledgeOrder, walls.acknowledgements.acknowledge, Role.OPERATOR),
        Endpoint("layouts-list", LayoutQuery, walls.layouts.list, ANYBODY),
        Endpoint("layouts-get", SavedKey, walls.layouts.get, ANYBODY),
        Endpoint("layouts-save", LayoutInput, walls.layouts.save, ANYBODY),
        Endpoint("layouts-update", LayoutUpdate, walls.layouts.update, ANYBODY),
        Endpoint("layouts-remove", SavedKey, walls.layouts.remove, ANYBODY),
        Endpoint("layouts-open", SavedKey, walls.layouts.open, ANYBODY),
        Endpoint("tours-list", TourQuery, walls.tours.list, ANYBODY),
        Endpoint("tours-get", SavedKey, walls.tours.get, ANYBODY),
        Endpoint("tours-save", TourInput, walls.tours.save, Role.OPERATOR),
        Endpoint("tours-update", TourUpdate, walls.tours.update, Role.OPERATOR),
        Endpoint("tours-remove", SavedKey, walls.tours.remove, Role.OPERATOR),
        Endpoint("screens-list", ScreenQuery, walls.screens.list, Role.VIEWER),
        Endpoint("screens-here", ScreenKey, walls.screens.here, Role.VIEWER),
        Endpoint("screens-show", ScreenOrder, walls.screens.show, Role.OPERATOR),
        Endpoint("screens-remove", ScreenKey, walls.screens.remove, Role.SUPERVISOR),
    ]
