"""Where the service asks for tokens, the page does, too: a real service, with a token of each right."""

import re
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect
from tests.browser.conftest import OpenPage
from tests.browser.office import Office
from tests.browser.test_sending import send_button
from tests.process.service_process import service_process

from globeco_allocation.entrypoints.api_tokens import Right, line_of, new_token


@dataclass(frozen=True)
class Guarded:
    """A service that asks for tokens, and two that it takes."""

    url: str
    reader: str
    sender: str


@pytest.fixture(scope="module")
def guarded(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Generator[Guarded]:
    reader, sender = new_token(), new_token()
    file: Path = tmp_path_factory.mktemp("tokens") / "tokens"
    file.write_text(f"{line_of('reader', Right.READ, reader)}\n{line_of('sender', Right.SEND, sender)}\n")
    with service_process({**settings, "API_TOKENS_FILE": str(file)}) as service:
        yield Guarded(f"{service.url}/", reader, sender)


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog", name="This service asks for a token")


def give(page: Page, token: str) -> None:
    """Give the page a token."""
    dialog(page).get_by_label("Token").fill(token)
    dialog(page).get_by_role("button", name="Use token").click()


def send(page: Page) -> None:
    """Send a batch by the button, and say yes."""
    send_button(page).click()
    page.get_by_role("button", name="Send batch", exact=True).click()


def test_a_token_is_asked_for_and_kept_in_this_tab_only(guarded: Guarded, open_page: OpenPage) -> None:
    page = open_page(guarded.url)
    dialog(page).get_by_label("Token").fill("wrong-one")
    page.keyboard.press("Enter")
    expect(dialog(page)).to_contain_text("is not accepted")
    page.keyboard.press("Escape")
    expect(page.locator("#notice-denied")).to_be_visible()
    page.get_by_role("button", name="Give a token").click()
    give(page, guarded.reader)

    expect(page.locator("#connection")).to_contain_text("Live")
    expect(page.locator("#notice-denied")).to_have_count(0)
    page.reload()
    expect(page.locator("#connection")).to_contain_text("Live")
    assert page.evaluate("Object.values(sessionStorage)") == [guarded.reader]
    assert page.evaluate("localStorage.length + document.cookie.length") == 0


def test_what_no_request_can_carry_is_not_accepted_and_not_kept(
    guarded: Guarded, open_page: OpenPage
) -> None:
    page = open_page(guarded.url)
    give(page, "gl\u014dbeco_\u201cquoted\u201d")
    expect(dialog(page)).to_contain_text("is not accepted")
    assert page.evaluate("sessionStorage.length") == 0
    give(page, guarded.reader)
    expect(page.locator("#connection")).to_contain_text("Live")

    # One that an older page had kept does no harm either.
    page.evaluate("sessionStorage.setItem('globeco-allocation-token', '\u201cquoted\u201d')")
    page.reload()
    give(page, guarded.reader)
    expect(page.locator("#connection")).to_contain_text("Live")


def test_a_token_that_is_given_while_a_question_without_it_is_open_is_kept(
    guarded: Guarded, open_page: OpenPage
) -> None:
    held: list[Route] = []
    page = open_page(guarded.url)
    expect(dialog(page)).to_be_visible()

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/api/v1/overview", hold, times=1)
    with page.expect_request("**/api/v1/overview"):
        page.evaluate(
            "window.dispatchEvent(new Event('online'))"
        )  # asks without a token, and is kept waiting
    give(page, guarded.reader)
    held[0].continue_()

    expect(page.locator("#connection")).to_contain_text("Live")
    assert page.evaluate("Object.values(sessionStorage)") == [guarded.reader]


def test_what_is_typed_stays_when_the_service_asks_once_more(guarded: Guarded, open_page: OpenPage) -> None:
    page = open_page(guarded.url)
    dialog(page).get_by_label("Token").fill("half a tok")
    with page.expect_response("**/api/v1/overview"):
        page.evaluate("window.dispatchEvent(new Event('online'))")
    page.wait_for_function("document.getElementById('notice-denied') !== null")

    expect(dialog(page).get_by_label("Token")).to_have_value("half a tok")


def test_without_the_right_to_send_the_reader_is_told_so(
    guarded: Guarded, office: Office, open_page: OpenPage
) -> None:
    office.post(1)
    page = open_page(guarded.url)
    give(page, guarded.reader)
    send(page)

    expect(page.locator("#notice-outcome")).to_contain_text(re.compile("Nothing was sent. .*token"))
    assert office.waiting() == 1


def test_with_the_right_to_send_a_batch_is_sent(
    guarded: Guarded, office: Office, open_page: OpenPage
) -> None:
    office.post(2)
    page = open_page(guarded.url)
    give(page, guarded.sender)
    send(page)

    expect(page.locator("#notice-outcome")).to_contain_text("booked every record")
    assert office.waiting() == 0
