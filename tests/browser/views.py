"""Every panel and dialog of the operators' page, opened without the button that leads there."""

from typing import Any, Final, NamedTuple

from playwright.async_api import Page

PANELS: Final = ("timeline", "events", "incidents", "screens", "downloads")
DIALOGS: Final[dict[str, dict[str, Any]]] = {
    "help": {},
    "walls": {},
    "place": {},
    "camera": {"camera": None},
    "import": {},
    "export": {"incident": None},
    "incident": {"incident": None},
    "busiest": {"span": {"fromMs": 1_790_000_000_000, "toMs": 1_790_000_600_000}},
    "sheet": {},
    "coverage": {},
    "health": {},
    "account": {},
    "accounts": {"account": None},
    "grants": {"account": None},
    "audit": {"camera": "cam-001", "person": None},
}
"""Kind → what else it is opened with."""
CLOSED: Final[dict[str, Any]] = {"dialog": None, **dict.fromkeys(PANELS, False)}
_SHOW: Final = "(view) => document.querySelector('pantau-app').app.show(view)"


class View(NamedTuple):
    """What a page shows beside or over its wall."""

    shown: dict[str, Any]
    element: str
    """Is there while it is shown."""


def views(*, incident: str, camera: dict[str, Any]) -> dict[str, View]:
    """All of them by name; ``incident`` is the id of one, ``camera`` one with a mask as the API gives it."""
    found = {panel: View({panel: True}, f"pantau-{panel}-panel") for panel in PANELS}
    for kind, more in DIALOGS.items():
        found[kind] = View({"dialog": {"kind": kind, **more}}, f"pantau-{kind}-dialog")
    found["camera-masked"] = View({"dialog": {"kind": "camera", "camera": camera}}, "pantau-camera-dialog")
    found["incident-page"] = View({"dialog": {"kind": "incident-page", "id": incident}}, "pantau-incident-page")
    return found


async def show(page: Page, view: View) -> None:
    """Shows it and nothing else."""
    await page.evaluate(_SHOW, CLOSED | view.shown)
    await page.locator(view.element).wait_for(state="attached")


async def close(page: Page) -> None:
    """Shows the wall alone."""
    await page.evaluate(_SHOW, CLOSED)
