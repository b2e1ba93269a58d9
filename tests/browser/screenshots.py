"""Make the README's pictures of the operator's page: ``python -m tests.browser.screenshots docs/images``.

A whole stack is run, batches are sent, and then moved back in time so that there is a day to look at.
"""

import json
import random
import shutil
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright
from tests.browser.office import REFUSED_SECURITY, REPORT

from globeco_allocation.adapters.postgres.direct_connection import connect
from globeco_allocation.entrypoints.end_signals import EndSignals
from globeco_allocation.entrypoints.stack import Stack, StackOptions, call, running_stack

_HOURS_AGO = (23, 21.2, 19.4, 18.1, 17, 15.3, 13.9, 12.6, 11.4, 8.2, 6.9, 5.1, 3.8, 2.4, 1.3)
_MOVE_BACK = """
WITH moved AS (SELECT * FROM unnest(%s::integer[], %s::interval[]) AS given (batch_id, ago)),
     executions AS (
     UPDATE execution AS e SET ready_to_send_timestamp = ready_to_send_timestamp - ago
       FROM moved JOIN batch_history AS h ON h.id = moved.batch_id
      WHERE e.ready_to_send_timestamp >= h.previous_start_time AND e.ready_to_send_timestamp < h.start_time
     ), history AS (
     UPDATE batch_history AS h
        SET start_time = start_time - ago,
            previous_start_time = previous_start_time
                - coalesce((SELECT b.ago FROM moved AS b WHERE b.batch_id = h.id - 1), '0')
       FROM moved WHERE moved.batch_id = h.id
     )
UPDATE delivery AS d
   SET claimed_timestamp = claimed_timestamp - ago, written_timestamp = written_timestamp - ago,
       started_timestamp = started_timestamp - ago, ended_timestamp = ended_timestamp - ago
  FROM moved WHERE moved.batch_id = d.batch_id
"""


class _Day:
    """A day at the office, played in seconds."""

    def __init__(self, stack: Stack, fault: Path) -> None:
        self._stack = stack
        self._fault = fault
        self._keys = iter(range(1, 1_000_000))
        self._chance = random.Random(7)  # noqa: S311 (pictures)

    def play(self) -> None:
        batches = [self._batch(self._chance.randint(30, 260)) for _ in _HOURS_AGO[:-2]]
        self._post(1, securityId=REFUSED_SECURITY)
        batches.append(self._batch(96))
        self._fault.write_text("server-down")
        batches.append(self._batch(41))
        self._fault.write_text("")
        with connect(self._stack.database, {}) as owner:
            owner.execute(_MOVE_BACK, (batches, [timedelta(hours=hours) for hours in _HOURS_AGO]))
        self._batch(118)
        self._post(37)

    def _batch(self, size: int) -> int:
        self._post(size)
        _, answer = call(f"{self._stack.url}/api/v1/executions/send", b"{}")
        return int((answer.get("details") or answer)["batchId"])

    def _post(self, how_many: int, **changes: Any) -> None:  # noqa: ANN401 (any field)
        for first in range(0, how_many, 100):
            records = [
                REPORT | {"executionServiceId": next(self._keys)} | changes
                for _ in range(min(100, how_many - first))
            ]
            call(f"{self._stack.url}/api/v1/executions", json.dumps(records).encode())


def _shoot(url: str, folder: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        wide: dict[str, Any] = {"viewport": {"width": 1120, "height": 860}}
        tall: dict[str, Any] = {"viewport": {"width": 1120, "height": 1080}}
        narrow: dict[str, Any] = {"viewport": {"width": 360, "height": 720}}
        dark: dict[str, Any] = {**wide, "color_scheme": "dark"}
        for name, choices in (("page-light", tall), ("page-dark", dark), ("page-phone", narrow)):
            page = browser.new_context(locale="en-GB", **choices).new_page()
            page.goto(url)
            page.locator("#tile-executions").get_by_text("37").wait_for()
            if name == "page-light":
                _open_refused(page)
            page.screenshot(path=folder / f"{name}.png")
        browser.close()


def _open_refused(page: Page) -> None:
    page.locator("li[data-kind=warn] .toggle").first.click()
    page.locator(".rejects").wait_for()
    page.evaluate("scrollTo(0, 0); document.activeElement.blur()")


def main(folder: Path) -> None:
    """Make them."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="screenshots-") as place, EndSignals() as signals:
        fault = Path(place) / "fault"
        environment = {"SIMULATED_ACCOUNTING_FAULT": f"@{fault}", "DELIVERY_RETRY_MAX_ATTEMPTS": "1"}
        data, output, log = (Path(place) / name for name in ("postgresql", "files", "log"))
        options = StackOptions(data=data, output=output, log=log, environment=environment)
        with running_stack(options, signals) as stack:
            _Day(stack, fault).play()
            _shoot(f"{stack.url}/", folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
