"""Rows that the Go implementation or a person stored are read as they stand."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from decimal import Decimal

import pytest

from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.direct_connection import connect
from globeco_allocation.adapters.postgres.executions import PostgresExecutions
from globeco_allocation.adapters.postgres.pool import Pool, open_pool
from globeco_allocation.domain import FIRST_START, ClaimTerms, Holder

HOLDER = Holder("here")

SPARSE = """
INSERT INTO execution (execution_service_id, execution_status, trade_type, destination, trade_date,
                       security_id, ticker, portfolio_id, quantity, received_timestamp, sent_timestamp,
                       total_amount, average_price, ready_to_send_timestamp)
VALUES (%s, 'FULL', 'BUY', 'ML', '2025-06-02', 'SEC-1', 'IBM', %s, 100, '2025-06-02 14:00+00',
        '2025-06-02 10:00:01-04', NULL, 0.1, %s)
RETURNING id
"""


@pytest.fixture
async def pool(database: DatabaseAddress) -> AsyncGenerator[Pool]:
    async with open_pool(database) as pool:
        yield pool


def store(database: DatabaseAddress, key: int, portfolio_id: str | None, ready: object) -> int:
    with connect(database, {}) as other:
        row = other.execute(SPARSE, (key, portfolio_id, ready)).fetchone()
    assert row is not None
    return row[0]


async def test_a_sparse_row_is_read_with_the_meaning_of_its_gaps(
    database: DatabaseAddress, pool: Pool
) -> None:
    execution = await PostgresExecutions(pool).get(store(database, 1, "P-1", FIRST_START))

    assert execution is not None
    assert execution.total_amount == Decimal(0)
    assert execution.limit_price is None
    assert execution.last_fill_timestamp is None
    assert execution.is_open
    assert (execution.security_id, execution.portfolio_id) == ("SEC-1", "P-1")
    assert execution.average_price == Decimal("0.1")
    assert execution.sent_timestamp.utcoffset() == timedelta(0)


async def test_a_row_without_portfolio_or_stamp_is_shown_but_only_a_stamped_one_is_sent(
    database: DatabaseAddress, pool: Pool
) -> None:
    unstamped = store(database, 1, None, None)
    never = store(database, 2, "P-1", "infinity")
    first = store(database, 3, None, FIRST_START)
    batches = PostgresBatches(pool)
    batch = (await batches.claim(await batches.last_start(), ClaimTerms(), HOLDER)).batch

    async with batches.executions(batch) as executions:
        sent = [(execution.id, execution.portfolio_id) async for execution in executions]

    assert sent == [(first, None)]
    execution = await PostgresExecutions(pool).get(unstamped)
    assert execution is not None
    assert execution.ready_to_send_timestamp is None
    assert (await PostgresExecutions(pool).get(never)) is not None
    assert (await PostgresExecutions(pool).page(limit=10, offset=0)).total == 3


async def test_an_unsent_row_stamped_at_the_last_start_is_in_the_next_window(
    database: DatabaseAddress, pool: Pool
) -> None:
    batches = PostgresBatches(pool)
    last_start = (await batches.claim(FIRST_START, ClaimTerms(), HOLDER)).batch.start
    store(database, 1, "P-1", last_start)
    batch = (await batches.claim(last_start, ClaimTerms(), HOLDER)).batch

    async with batches.executions(batch) as executions:
        assert [execution.execution_service_id async for execution in executions] == [1]
