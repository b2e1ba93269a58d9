"""Executions are kept once, exactly as they were said; the twin and PostgreSQL agree."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from typing import Protocol

import pytest

from globeco_allocation.domain import AllocatedExecution
from globeco_allocation.ports.executions import Executions, Kept

Allocate = Callable[..., AllocatedExecution]

OUTSIDE_INT4 = [0, -1, 2**31, -(2**31) - 1, 2**63, 10**40, -(10**40)]


class Stores(Protocol):
    @property
    def executions(self) -> Executions: ...


async def test_an_execution_comes_back_as_it_was_said(stores: Stores, allocate: Allocate) -> None:
    said = allocate(27, limit_price=Decimal("49.5"))

    kept = await stores.executions.keep([said])
    execution = await stores.executions.get(kept[27].id)

    assert execution is not None
    for name in said.execution.__dataclass_fields__:
        assert getattr(execution, name) == getattr(said.execution, name), name
    assert execution.id == kept[27].id
    assert execution.portfolio_id == said.portfolio_id
    assert execution.trade_date == date(2026, 3, 2)
    assert execution.version == 1
    assert execution.ready_to_send_timestamp is not None
    assert execution.ready_to_send_timestamp.utcoffset() == timedelta(0)


async def test_what_was_left_out_stays_out(stores: Stores, allocate: Allocate) -> None:
    kept = await stores.executions.keep([allocate(1, limit_price=None, last_fill_timestamp=None)])
    execution = await stores.executions.get(kept[1].id)

    assert execution is not None
    assert execution.limit_price is None
    assert execution.last_fill_timestamp is None


async def test_a_known_execution_is_kept_only_once(stores: Stores, allocate: Allocate) -> None:
    first = await stores.executions.keep([allocate(1, ticker="FIRST")])
    again = await stores.executions.keep([allocate(1, ticker="AGAIN")])
    page = await stores.executions.page(limit=10, offset=0)

    assert first[1].new
    assert again == {1: Kept(first[1].id, new=False)}
    assert [execution.ticker for execution in page.executions] == ["FIRST"]


async def test_ids_rise_in_the_order_of_the_request(stores: Stores, allocate: Allocate) -> None:
    kept = await stores.executions.keep([allocate(key) for key in (9, 2, 7, 1, 8)])

    ids = [kept[key].id for key in (9, 2, 7, 1, 8)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 5


async def test_repeats_use_up_no_ids(stores: Stores, allocate: Allocate) -> None:
    before = await stores.executions.keep([allocate(1), allocate(2)])
    for _ in range(3):
        await stores.executions.keep([allocate(2), allocate(1)])
    after = await stores.executions.keep([allocate(1), allocate(3), allocate(2)])

    assert after[3] == Kept(before[2].id + 1, new=True)
    assert after[1] == Kept(before[1].id, new=False)


async def test_of_two_who_keep_the_same_execution_at_once_one_has_made_it(
    stores: Stores, allocate: Allocate
) -> None:
    answers = await asyncio.gather(*(stores.executions.keep([allocate(1)]) for _ in range(8)))

    assert len({answer[1].id for answer in answers}) == 1
    assert [answer[1].new for answer in answers].count(True) == 1
    assert (await stores.executions.page(limit=10, offset=0)).total == 1


async def test_those_who_keep_the_same_executions_the_other_way_round_never_block_each_other(
    stores: Stores, allocate: Allocate
) -> None:
    some = [allocate(key) for key in range(1, 41)]

    answers = await asyncio.gather(
        *(stores.executions.keep(order) for _ in range(4) for order in (some, some[::-1]))
    )

    for key in range(1, 41):
        assert len({answer[key].id for answer in answers}) == 1
        assert [answer[key].new for answer in answers].count(True) == 1


async def test_keeping_nothing_is_answered(stores: Stores) -> None:
    assert await stores.executions.keep([]) == {}


@pytest.mark.parametrize(
    "amount",
    ["0.1", "123456789.12345678", "9999999999.99999999", "0.00000001", "33.33333333", "100"],
)
async def test_amounts_are_exact(stores: Stores, allocate: Allocate, amount: str) -> None:
    exact = Decimal(amount)
    said = allocate(
        1, quantity=exact, limit_price=exact, quantity_filled=exact, total_amount=exact, average_price=exact
    )

    kept = await stores.executions.keep([said])
    execution = await stores.executions.get(kept[1].id)

    assert execution is not None
    assert [
        execution.quantity,
        execution.limit_price,
        execution.quantity_filled,
        execution.total_amount,
        execution.average_price,
    ] == [exact] * 5


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 3, 8, 6, 59, 59, 999999, UTC),
        datetime(2026, 3, 2, 10, 0, 0, 1, timezone(timedelta(hours=-5))),
        datetime(2, 1, 1, tzinfo=UTC),
        datetime(9998, 12, 31, 23, 59, 59, 999999, UTC),
    ],
    ids=["a microsecond before a DST edge", "with an offset", "the first year", "the last year"],
)
async def test_instants_are_exact_to_the_microsecond(
    stores: Stores, allocate: Allocate, moment: datetime
) -> None:
    said = allocate(1, received_timestamp=moment, sent_timestamp=moment, last_fill_timestamp=moment)

    kept = await stores.executions.keep([said])
    execution = await stores.executions.get(kept[1].id)

    assert execution is not None
    for instant in (execution.received_timestamp, execution.sent_timestamp, execution.last_fill_timestamp):
        assert instant is not None
        assert instant == moment
        assert instant.tzinfo == UTC
    assert execution.trade_date == said.execution.trade_date


async def test_short_ids_come_back_without_padding(stores: Stores, allocate: Allocate) -> None:
    kept = await stores.executions.keep([allocate(1, portfolio_id="P1", security_id="S1")])
    execution = await stores.executions.get(kept[1].id)

    assert execution is not None
    assert (execution.security_id, execution.portfolio_id) == ("S1", "P1")


@pytest.mark.parametrize("text", ["Ünïcödé", "東京証券取引所", "😀" * 20, 'a"b,c\nd', " x", "NULL", "{}"])
async def test_text_comes_back_as_it_was(stores: Stores, allocate: Allocate, text: str) -> None:
    said = allocate(1, destination=text, ticker=text, security_id=text, portfolio_id=text)

    kept = await stores.executions.keep([said])
    execution = await stores.executions.get(kept[1].id)

    assert execution is not None
    assert [execution.destination, execution.ticker, execution.security_id, execution.portfolio_id] == [
        text
    ] * 4


async def test_known_executions_are_found_by_their_execution_service_id(
    stores: Stores, allocate: Allocate
) -> None:
    kept = await stores.executions.keep([allocate(5), allocate(2**31 - 1), allocate(6)])

    known = await stores.executions.known([5, 2**31 - 1, 7, *OUTSIDE_INT4])

    assert {key: execution.id for key, execution in known.items()} == {
        key: kept[key].id for key in (5, 2**31 - 1)
    }
    assert await stores.executions.known([]) == {}


@pytest.mark.parametrize("execution_id", [99, 2**31 - 1, *OUTSIDE_INT4])
async def test_an_id_that_is_not_there_finds_nothing(
    stores: Stores, allocate: Allocate, execution_id: int
) -> None:
    await stores.executions.keep([allocate(1)])

    assert await stores.executions.get(execution_id) is None


async def test_pages_begin_with_the_newest_and_leave_none_out(stores: Stores, allocate: Allocate) -> None:
    kept = await stores.executions.keep([allocate(key) for key in range(1, 8)])

    pages = [await stores.executions.page(limit=3, offset=offset) for offset in (0, 3, 6)]

    listed = [execution.id for page in pages for execution in page.executions]
    assert listed == sorted((one.id for one in kept.values()), reverse=True)
    assert all(newer > older for newer, older in pairwise(listed))
    assert [page.total for page in pages] == [7, 7, 7]
    assert [len(page.executions) for page in pages] == [3, 3, 1]


async def test_a_page_at_any_depth_goes_on_where_the_one_before_ended(
    stores: Stores, allocate: Allocate
) -> None:
    kept = await stores.executions.keep([allocate(key) for key in range(1, 5001)])
    newest_first = sorted((one.id for one in kept.values()), reverse=True)

    for offset in (0, 903, 904, 905, 906, 2500, 4949, 4950, 4999):
        page = await stores.executions.page(limit=50, offset=offset)

        assert [execution.id for execution in page.executions] == newest_first[offset : offset + 50]
        assert page.total == 5000


@pytest.mark.parametrize("offset", [7, 8, 10**6, 2**63 - 1, 2**63, 10**40])
async def test_behind_the_end_a_page_is_empty_and_the_total_stands(
    stores: Stores, allocate: Allocate, offset: int
) -> None:
    await stores.executions.keep([allocate(key) for key in range(1, 8)])

    page = await stores.executions.page(limit=1000, offset=offset)

    assert page.executions == ()
    assert page.total == 7


async def test_with_nothing_kept_the_total_is_0(stores: Stores) -> None:
    page = await stores.executions.page(limit=50, offset=0)

    assert page.executions == ()
    assert page.total == 0
