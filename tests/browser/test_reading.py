"""The page tells what is so, as it happens, word for word, and says when it cannot."""

import re
import socket
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, Request, expect
from tests.browser.conftest import OpenPage, ask_now
from tests.browser.office import Office
from tests.process.service_process import service_process

from globeco_allocation.entrypoints.overviews import NEWEST_BATCHES, TROUBLED_BATCHES

HOSTILE = "<img src=x onerror=\"document.title='caught'\"><script>document.title='caught'</script>"


def opened(page: Page, batch_id: int) -> None:
    """Open a batch's details."""
    page.get_by_role("button", name=f"Batch {batch_id}", exact=True).click()


def test_a_refused_record_is_named_with_the_words_of_the_cli(page: Page, office: Office) -> None:
    refused, source_id = office.refuse_one()
    ask_now(page)
    opened(page, refused)

    row = page.get_by_role("row").filter(has_text=source_id)
    expect(row).to_contain_text("refused")
    expect(row).to_contain_text("securityId: must be 24 alphanumeric characters")
    expect(page.locator("#tile-unresolved")).to_contain_text("failed or partial")


def test_no_text_of_others_steers_how_the_page_is_read(page: Page, office: Office) -> None:
    refused, source_id = office.refuse_one()
    steering = "paid\u202e100\u2066\u200f\x9b31m"
    office.execute("UPDATE execution SET ticker = %s WHERE id = %s", steering, int(source_id[2:]))
    office.execute(
        "UPDATE delivery_reject SET reason = %s WHERE source_id = %s", f"words {steering}", source_id
    )
    office.execute("UPDATE delivery SET error = %s WHERE batch_id = %s", f"error {steering}", refused)
    ask_now(page)
    opened(page, refused)
    page.get_by_role("button", name=f"{source_id}: show the execution").click()

    shown = "paid\ufffd100\ufffd\ufffd\ufffd31m"
    expect(page.get_by_role("dialog", name=f"{source_id}: {shown}")).to_be_visible()
    expect(page.locator("td.words", has_text=f"words {shown}")).to_be_attached()
    expect(page.get_by_text(f"error {shown}").first).to_be_attached()
    seen = page.evaluate("document.documentElement.outerHTML")
    assert not set("\u202e\u2066\u200f\x9b") & set(seen)


def test_a_record_is_shown_with_the_digits_that_are_kept(page: Page, office: Office) -> None:
    refused, source_id = office.refuse_one()
    office.execute(
        "UPDATE execution SET average_price = 1234567890.12345678 WHERE id = %s", int(source_id[2:])
    )
    ask_now(page)
    opened(page, refused)
    page.get_by_role("button", name=f"{source_id}: show the execution").click()

    dialog = page.get_by_role("dialog", name=f"{source_id}: IBM")
    expect(dialog).to_contain_text("1234567890.12345678")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name=f"{source_id}: show the execution")).to_be_focused()


@pytest.mark.parametrize("hours", [-3, 3])
def test_ages_are_told_by_the_service_s_clock(open_page: OpenPage, office: Office, hours: int) -> None:
    office.post(1)

    def set_wrong(page: Page) -> None:
        page.clock.set_fixed_time(datetime.now(UTC) + timedelta(hours=hours))

    page = open_page(prepare=set_wrong)

    expect(page.locator("#tile-executions")).to_contain_text(re.compile(r"The oldest for \d+ s"))


def test_what_another_client_does_is_seen_without_reloading(page: Page, office: Office) -> None:
    page.evaluate("window.sameDocument = true")
    office.post(4)
    expect(page.locator("#tile-executions")).to_contain_text("4")

    sent = office.send()

    expect(page.get_by_role("button", name=f"Batch {sent}", exact=True)).to_be_visible()
    expect(page.get_by_role("status").filter(has_text=f"Batch {sent}: Delivered.")).to_be_attached()
    assert page.evaluate("window.sameDocument")


def test_what_is_open_and_focused_stays_so_while_news_come(page: Page, office: Office) -> None:
    refused, _ = office.refuse_one()
    ask_now(page)
    opened(page, refused)
    toggle = page.get_by_role("button", name=f"Batch {refused}", exact=True)
    expect(toggle).to_be_focused()

    office.post(1)
    sent = office.send()
    ask_now(page)

    expect(page.get_by_role("button", name=f"Batch {sent}", exact=True)).to_be_visible()
    expect(toggle).to_be_focused()
    expect(toggle).to_have_attribute("aria-expanded", "true")


def test_older_batches_are_listed_without_a_gap_and_stay_true(page: Page, office: Office) -> None:
    failed = office.fail_one()
    sent = [office.send() for _ in range(NEWEST_BATCHES + TROUBLED_BATCHES + 1)]
    office.execute("UPDATE delivery SET status = 'delivered' WHERE batch_id = %s", failed)
    page.reload()
    oldest = page.get_by_role("button", name=f"Batch {failed}", exact=True)
    expect(page.get_by_role("button", name=f"Batch {sent[-1]}", exact=True)).to_be_visible()
    expect(oldest).not_to_be_attached()

    page.get_by_role("button", name="Show older batches").click()
    expect(oldest).to_be_visible()
    sent += [office.send() for _ in range(3)]
    office.execute("UPDATE delivery SET status = 'failed' WHERE batch_id = %s", failed)
    ask_now(page)

    expect(page.locator("li.batch", has=oldest)).to_contain_text("Failed")
    for one in (failed, *sent):
        expect(page.get_by_role("button", name=f"Batch {one}", exact=True)).to_be_visible()


def test_hostile_text_stays_text(office: Office, open_page: OpenPage) -> None:
    refused, source_id = office.refuse_one(ticker="<b>EVIL</b>")
    office.execute("UPDATE delivery_reject SET reason = %s WHERE source_id = %s", HOSTILE, source_id)
    office.execute("UPDATE delivery SET error = %s WHERE batch_id = %s", HOSTILE, refused)
    office.execute("UPDATE batch_claim SET requested_by = %s WHERE batch_id = %s", HOSTILE, refused)
    page = open_page()
    opened(page, refused)

    expect(page.get_by_role("row").filter(has_text=source_id)).to_contain_text(HOSTILE)
    expect(page.locator(".batch > .error").filter(has_text=HOSTILE)).to_be_visible()
    page.get_by_role("button", name=f"{source_id}: show the execution").click()
    expect(page.get_by_role("dialog")).to_contain_text("<b>EVIL</b>")
    assert page.locator("main img, main script, dialog b").count() == 0
    assert page.title() == "Allocation Service"


def test_times_are_the_readers_with_utc_beside_them(page: Page, office: Office) -> None:
    office.post(1)
    sent = office.send()
    ask_now(page)
    expect(page.get_by_role("button", name=f"Batch {sent}", exact=True)).to_be_visible()
    start = office.service.get(f"/api/v1/batches/{sent}")[1]["startTime"]

    time = page.locator(".batch").first.locator("time").first
    expect(time).to_have_attribute("datetime", start)
    expect(time).to_have_attribute("title", f"{start[:19].replace('T', ' ')} UTC")
    there = (int(start[11:13]) + 9) % 24  # Tokyo's
    expect(time).to_contain_text(f"{there:02d}:{start[14:19]}")
    expect(page.get_by_role("contentinfo")).to_contain_text("Asia/Tokyo")


def test_the_last_day_is_there_as_a_table_too(office: Office, open_page: OpenPage) -> None:
    office.post(5)
    office.send()
    page = open_page()
    page.get_by_text("As a table").click()

    chart = page.get_by_role("img", name="Last 24 hours")
    row = page.get_by_role("row").nth(1)
    numbers = [int(text) for text in row.get_by_role("cell").all_inner_texts()]
    assert chart.count() == 1
    assert len(numbers) == 4
    assert numbers[0] >= 5  # ready
    assert numbers[2] >= 5  # booked


def test_nothing_is_loaded_from_elsewhere_and_little_while_nothing_is_new(
    office: Office, open_page: OpenPage
) -> None:
    requests: list[Request] = []
    statuses: list[int] = []

    def watch(page: Page) -> None:
        page.on("request", lambda one: requests.append(one))  # noqa: PLW0108 (it cannot take a builtin)
        page.on("response", lambda one: statuses.append(one.status) if "overview" in one.url else None)

    page = open_page(prepare=watch)
    page.get_by_text("Live", exact=True).wait_for()
    with page.expect_response(lambda one: one.url.endswith("/overview") and one.status == 304):
        ask_now(page)

    assert all(one.url.startswith((office.url, "data:")) for one in requests)
    assert statuses[:2] == [200, 304]


def test_a_page_that_nobody_sees_asks_nothing(page: Page) -> None:
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true})"
    tell = "document.dispatchEvent(new Event('visibilitychange'))"

    page.evaluate(f"{hide % 'true'}; {tell}")
    expect(page.locator("#connection")).to_contain_text("Paused")
    asked: list[Request] = []
    page.on("request", lambda one: asked.append(one))  # noqa: PLW0108 (it cannot take a builtin)
    ask_now(page)
    page.evaluate("() => new Promise((done) => setTimeout(done, 0))")  # it would have been asked by now
    assert asked == []

    page.evaluate(f"{hide % 'false'}; {tell}")
    expect(page.locator("#connection")).to_contain_text("Live")


def test_a_lost_connection_is_told_and_healed(
    office: Office, settings: dict[str, str], open_page: OpenPage
) -> None:
    office.post(1)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    with service_process({**settings, "PORT": port}) as other:
        page = open_page(f"{other.url}/")
        expect(page.locator("#tile-executions")).to_contain_text("1")

    expect(page.locator("#notice-lost")).to_contain_text("The connection to the service is lost.")
    expect(page.locator("#notice-lost")).to_contain_text("What is shown was so at")
    expect(page.get_by_role("button", name="Send batch…")).to_have_attribute("aria-disabled", "true")
    expect(page.locator("#tile-executions")).to_contain_text("1")  # what was known stays

    with service_process({**settings, "PORT": port}) as back:
        assert back.url
        page.get_by_role("button", name="Ask now").click()
        expect(page.locator("#notice-lost")).to_have_count(0)
        expect(page.locator("#connection")).to_contain_text("Live")
