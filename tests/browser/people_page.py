"""A wall with accounts, and the page of a browser of its own: requests that are refused are noted."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import BrowserContext, Page, Response

from services.contracts.permissions import Role
from services.mesh.settings import MeshSettings
from services.wall.front.auth import accounts, passwords
from tests.browser.chromium import chromium
from tests.registry.running import registry
from tests.wall.front.running import running_front


@dataclass
class PeoplePage:
    """An English page, on which nobody is signed in yet."""

    url: str
    browser: BrowserContext
    page: Page
    refused: list[str] = field(default_factory=list)
    """Requests that were answered 403 or 500, since `note_refusals`."""

    def note_refusals(self) -> None:
        """From now on."""

        def on_response(response: Response) -> None:
            if response.status in (403, 500):
                self.refused.append(f"{response.request.method} {response.url}: {response.status}")

        self.page.on("response", on_response)


@asynccontextmanager
async def people_page(
    mesh_settings: MeshSettings, folder: Path, people: Mapping[str, Role], password: str
) -> AsyncIterator[PeoplePage]:
    """Runs it with an accounts file of ``people``, who have one ``password``."""
    path = folder / "accounts.toml"
    kept = passwords.hash_password(password)
    accounts.write_accounts(
        path, [accounts.Account(name=name, role=role, password=kept) for name, role in people.items()]
    )
    async with (
        registry(mesh_settings),
        running_front(mesh_settings, accounts_file=path) as front,
        chromium(folder / "chromium") as browser,
    ):
        page = await browser.new_page()
        page.set_default_timeout(60_000)
        await page.add_init_script("localStorage['pantau.language'] = 'en'")
        yield PeoplePage(front.url, browser, page)


async def post(page: Page, path: str, body: object) -> Any:
    """What the API answers who is signed in on the page."""
    script = """async ([path, body]) => {
      const headers = { 'Content-Type': 'application/json' };
      const answer = await fetch('/api/v1' + path, { method: 'POST', headers, body: JSON.stringify(body) });
      if (!answer.ok) throw new Error(await answer.text());
      return answer.json();
    }"""
    return await page.evaluate(script, [path, body])
