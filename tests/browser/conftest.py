"""One service for all tests of the operator's page, and the system's Chromium to look at it with."""

import os
import shutil
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, expect, sync_playwright
from tests.browser.office import Office
from tests.process.service_process import ServiceProcess, service_process, trade_service_process

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.entrypoints.stack import simulated_cli_command


class OpenPage(Protocol):
    """Opens the operator's page; see the fixture."""

    def __call__(
        self,
        url: str = "",
        prepare: Callable[[Page], object] = lambda _: None,
        **choices: Any,  # noqa: ANN401 (whatever a context may be made with)
    ) -> Page: ...


_NAMES = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE_MS = 15_000
_COLLECT_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation",
  (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where the browser is."""
    named = os.environ.get("CHROMIUM")
    found = [named] if named else [path for name in _NAMES if (path := shutil.which(name))]
    if not found:
        pytest.skip("no browser: install Debian's package chromium, or name one in CHROMIUM")
    return found[0]


# Of a module: while it is open, an event loop of its own runs in this thread, and asynchronous tests cannot.
@pytest.fixture(scope="module")
def browser(chromium: str) -> Generator[Browser]:
    """A running browser."""
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=chromium)
        except Error as error:
            pytest.skip(f"{chromium} does not start: {error.message.splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def settings(
    shared_database: DatabaseAddress, tmp_path_factory: pytest.TempPathFactory
) -> Generator[dict[str, str]]:
    """The settings of a service whose failed deliveries are not tried again by themselves."""
    folder = tmp_path_factory.mktemp("browser")
    with trade_service_process(0) as trade_service:
        yield {
            "PORT": "0",
            "BIND_ADDRESS": "127.0.0.1",
            "DB_HOST": shared_database.host,
            "DB_PORT": str(shared_database.port),
            "DB_NAME": shared_database.name,
            "DB_USER": shared_database.user,
            "DB_PASSWORD": shared_database.password,
            "TRADE_SERVICE_URL": trade_service,
            "OUTPUT_DIR": str(folder / "files"),
            "CLI_COMMAND": simulated_cli_command(),
            "SIMULATED_ACCOUNTING_LEDGER": str(folder / "ledger.sqlite3"),
            "SIMULATED_ACCOUNTING_FAULT": f"@{folder / 'fault'}",
            "DELIVERY_RETRY_MAX_ATTEMPTS": "1",
        }


@pytest.fixture(scope="session")
def service(chromium: str, settings: dict[str, str]) -> Generator[ServiceProcess]:
    """The service."""
    del chromium  # without a browser none is started
    with service_process(settings) as service:
        yield service


@pytest.fixture
def office(service: ServiceProcess, settings: dict[str, str], shared_database: DatabaseAddress) -> Office:
    """The service with nothing ready and an accounting CLI that books."""
    office = Office(service, shared_database, Path(settings["SIMULATED_ACCOUNTING_FAULT"].removeprefix("@")))
    office.settle()
    return office


@pytest.fixture
def open_page(browser: Browser, office: Office) -> Generator[OpenPage]:
    """Open the operator's page; keywords choose the viewport, the colours and so on.

    At the end none of the pages may have had an error, or broken the content security policy.
    """
    with ExitStack() as stack:

        def open_one(
            url: str = "",
            prepare: Callable[[Page], object] = lambda _: None,
            **choices: Any,  # noqa: ANN401 (whatever a context may be made with)
        ) -> Page:
            page = stack.enter_context(_watched_page(browser, choices))
            prepare(page)
            page.goto(url or office.url)
            return page

        yield open_one


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """The operator's page, live."""
    page = open_page()
    page.get_by_text("Live", exact=True).wait_for()
    return page


def ask_now(page: Page) -> None:
    """Have the page ask at once: a test need not wait for its next turn."""
    page.evaluate("window.dispatchEvent(new Event('online'))")


@contextmanager
def _watched_page(browser: Browser, choices: dict[str, Any]) -> Generator[Page]:
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # An answer that is an error is told there too; the page tells it to the reader.
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            errors.append(message.text)

    usual: dict[str, Any] = {"locale": "en-GB", "timezone_id": "Asia/Tokyo"}
    context = browser.new_context(**usual | choices)
    context.set_default_timeout(_PATIENCE_MS)
    expect.set_options(timeout=_PATIENCE_MS)
    page = context.new_page()
    page.add_init_script(_COLLECT_VIOLATIONS)
    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    try:
        yield page
        violations = page.evaluate("window.violations")
    finally:
        context.close()
    assert errors == []
    assert violations == []
