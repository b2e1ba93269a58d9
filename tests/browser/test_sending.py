"""Batches are sent from the page, and sent again; never by mistake."""

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.browser.conftest import OpenPage, ask_now
from tests.browser.office import Office


def batch(page: Page, batch_id: int) -> Locator:
    """Return a batch's row."""
    return page.get_by_role("listitem").filter(
        has=page.get_by_role("button", name=f"Batch {batch_id}", exact=True)
    )


def send_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Send batch…")


def test_a_batch_is_sent_once_it_is_confirmed(page: Page, office: Office) -> None:
    office.post(7)
    ask_now(page)
    expect(page.locator("#tile-executions")).to_contain_text("7")

    send_button(page).click()
    dialog = page.get_by_role("dialog", name="Send 7 executions?")
    expect(dialog).to_contain_text("one batch: 7 executions now")
    expect(dialog).to_contain_text("cannot be taken back")
    assert office.waiting() == 7  # nothing has happened yet
    dialog.get_by_role("button", name="Send batch").click()

    expect(page.locator("#notice-outcome")).to_contain_text(
        "Portfolio Accounting booked every record of the batch: 7."
    )
    newest = page.locator(".batch").first
    expect(newest).to_contain_text("Delivered")
    expect(newest).to_contain_text("7")
    expect(page.locator("#tile-executions")).to_contain_text("Nothing is ready.")
    assert office.waiting() == 0


@pytest.mark.parametrize("way", ["the button", "Escape"])
def test_who_cancels_sends_nothing_and_has_the_focus_back(page: Page, office: Office, way: str) -> None:
    office.post(1)
    ask_now(page)
    batches = office.batch_count()
    expect(send_button(page)).to_have_attribute("aria-disabled", "false")

    send_button(page).click()
    dialog = page.get_by_role("dialog", name="Send 1 execution?")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()  # Enter by mistake does nothing
    if way == "Escape":
        page.keyboard.press("Escape")
    else:
        dialog.get_by_role("button", name="Cancel").click()

    expect(dialog).to_be_hidden()
    expect(send_button(page)).to_be_focused()
    assert (office.waiting(), office.batch_count()) == (1, batches)


@pytest.mark.parametrize("width", [320, 1280])
def test_a_double_click_answers_no_question_that_nobody_has_read(
    open_page: OpenPage, office: Office, width: int
) -> None:
    failed = office.fail_one()
    office.post(1)
    batches = office.batch_count()
    page = open_page(viewport={"width": width, "height": 640})
    expect(send_button(page)).to_have_attribute("aria-disabled", "false")

    for button, answer in (
        (send_button(page), "Send batch"),
        (page.get_by_role("button", name=f"Send batch {failed} again…"), "Send again"),
    ):
        button.scroll_into_view_if_needed()
        place = button.bounding_box()
        assert place is not None
        page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
        yes = page.get_by_role("button", name=answer, exact=True)
        under_it = yes.bounding_box()
        assert under_it is not None
        for _ in range(3):  # an impatient hand, right where it would count
            page.mouse.click(under_it["x"] + under_it["width"] / 2, under_it["y"] + under_it["height"] / 2)
        expect(yes).to_be_visible()
        page.keyboard.press("Escape")
        expect(yes).to_be_hidden()

    _, told = office.service.get(f"/api/v1/batches/{failed}")
    assert [one["attempts"] for one in told["deliveries"]] == [1]
    assert (office.waiting(), office.batch_count()) == (1, batches)


def test_while_nothing_is_ready_nothing_is_sent(page: Page, office: Office) -> None:
    batches = office.batch_count()

    expect(send_button(page)).to_have_attribute("aria-disabled", "true")
    send_button(page).click(force=True)

    expect(page.get_by_role("status").filter(has_text="Nothing is ready to be sent.")).to_be_attached()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert office.batch_count() == batches


def test_a_batch_is_sent_by_keyboard_alone(page: Page, office: Office) -> None:
    office.post(2)
    ask_now(page)
    expect(send_button(page)).to_have_attribute("aria-disabled", "false")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(send_button(page)).to_be_focused()
    outline = send_button(page).evaluate("(node) => getComputedStyle(node).outlineStyle")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    assert outline == "solid"  # the focus is seen
    expect(page.locator("#notice-outcome")).to_contain_text("booked every record of the batch: 2.")
    assert office.waiting() == 0


def test_a_failed_delivery_is_sent_again_and_delivered(page: Page, office: Office) -> None:
    failed = office.fail_one()
    ask_now(page)
    row = batch(page, failed)
    expect(row).to_contain_text("Failed")
    expect(row).to_contain_text("Portfolio Accounting could not be reached")

    row.get_by_role("button", name=f"Send batch {failed} again…").click()
    dialog = page.get_by_role("dialog", name=f"Send batch {failed} again?")
    expect(dialog).to_contain_text("3 records not booked so far")
    expect(dialog).to_contain_text("nothing is booked twice")
    dialog.get_by_role("button", name="Send again").click()

    expect(row).to_contain_text("Delivered")
    expect(row.get_by_role("button", name="Send batch")).to_have_count(0)
    _, told = office.service.get(f"/api/v1/batches/{failed}")
    assert [(one["status"], one["attempts"]) for one in told["deliveries"]] == [("delivered", 2)]


def test_what_becomes_of_a_failed_send_is_told_and_shown(page: Page, office: Office) -> None:
    office.fault("server-down")
    office.post(2)
    ask_now(page)
    expect(send_button(page)).to_have_attribute("aria-disabled", "false")

    send_button(page).click()
    page.get_by_role("button", name="Send batch", exact=True).click()

    outcome = page.locator("#notice-outcome")
    expect(outcome).to_contain_text("0 of 2 records booked")
    newest = page.locator(".batch").first
    expect(newest).to_contain_text("Failed")
    expect(newest.get_by_role("heading", level=4)).to_contain_text("transactions_")  # it is opened by itself
    outcome.get_by_role("button", name="Close").click()
    expect(outcome).to_have_count(0)


def test_a_send_without_an_answer_may_have_happened(office: Office, open_page: OpenPage) -> None:
    office.post(1)
    page = open_page(prepare=lambda page: page.route("**/executions/send", lambda route: route.abort()))
    send_button(page).click()
    page.get_by_role("button", name="Send batch", exact=True).click()

    expect(page.locator("#notice-outcome")).to_contain_text("may have been sent all the same")
