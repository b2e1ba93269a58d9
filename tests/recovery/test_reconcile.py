"""``recover --reconcile``: what the Trade Service has and we lack is named, once, and nothing else."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
from tests.drill.trade_service import trade_service
from tests.recovery.place import Place

from globeco_allocation.adapters.trade_service.listing import ExecutionListing, ListingError
from globeco_allocation.entrypoints.simulated.trade_service import Knobs, SimulatedTradeService


def test_what_is_filled_there_and_not_here_is_named_one_a_line(place: Place, tmp_path: Path) -> None:
    place.keep(3)
    place.do(
        "INSERT INTO pending_execution SELECT 4, false, 'FULL', 'BUY', 'ML', 'S', 'IBM', 1, NULL, now(),"
        " now(), NULL, 1, 1, 1, 'pending', 'no portfolio', 0, now(), now()"
    )
    output = tmp_path / "missing.txt"
    with trade_service() as there:
        there.fill([1, 2, 3, 4, 5, 900])
        there.send([6, 7])
        printed = place.run("--reconcile", TRADE_SERVICE_URL=there.url)
        written = place.run("--reconcile", "--output", str(output), TRADE_SERVICE_URL=there.url)

    assert (printed.code, printed.out) == (4, "5\n900\n")
    assert "3 kept here, 1 pending, 2 open or unfilled there; 2 missing here" in printed.err
    assert (written.code, written.out, output.read_text()) == (4, "", "5\n900\n")


def test_nothing_missing_is_exit_code_0(place: Place) -> None:
    place.keep(2)
    with trade_service() as there:
        there.fill([1, 2])
        said = place.run("--reconcile", TRADE_SERVICE_URL=there.url)

    assert (said.code, said.out) == (0, "")


def test_a_list_that_could_not_be_read_leaves_no_file(place: Place, tmp_path: Path) -> None:
    output = tmp_path / "missing.txt"
    with trade_service() as there:
        said = place.run("--reconcile", "--output", str(output), TRADE_SERVICE_URL=f"{there.url}/elsewhere")

    assert said.code == 3
    assert "refused to list executions (status 404); the list of ids is not whole" in said.err
    assert list(tmp_path.glob("*missing*")) == []


def listed(
    simulated: SimulatedTradeService, retried: Callable[[str], None] = print, page_size: int = 100
) -> list[int | None]:
    """Read the whole list, in pages."""

    async def read() -> list[int | None]:
        async with simulated.serve() as url, aiohttp.ClientSession() as session:
            listing = ExecutionListing(session, url, retried, page_size=page_size, first_pause_seconds=0.01)
            return [one.execution_service_id async for page in listing.pages() for one in page.executions]

    return asyncio.run(read())


@pytest.mark.parametrize("count", [0, 1, 100, 250])
def test_every_page_is_read_once(count: int) -> None:
    assert listed(SimulatedTradeService({key: ["P"] for key in range(count)})) == list(range(count))


def test_a_page_that_fails_for_now_is_asked_for_again() -> None:
    simulated = SimulatedTradeService({key: ["P"] for key in range(250)}, knobs=Knobs(status=503))
    reasons: list[str] = []

    def retried(reason: str) -> None:
        reasons.append(reason)
        if len(reasons) == 3:
            simulated.knobs.status = None

    assert listed(simulated, retried) == list(range(250))
    assert reasons == ["page 0: status 503, asked for again"] * 3


def test_a_page_that_cannot_be_had_ends_it() -> None:
    with pytest.raises(ListingError, match=r"page 0 .* \(status 500\) in 6 attempts: try again later"):
        listed(SimulatedTradeService({1: ["P"]}, knobs=Knobs(status=500)))


def test_a_page_size_that_the_trade_service_refuses_is_a_failure() -> None:
    with pytest.raises(ListingError, match="status 500"):
        listed(SimulatedTradeService({1: ["P"]}), page_size=1001)
