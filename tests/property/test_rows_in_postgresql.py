"""What PostgreSQL writes of any rows that its table can hold is to the byte what the domain makes of them."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from globeco_allocation.adapters.postgres import batch_contents, lane_rows, pieces
from globeco_allocation.adapters.postgres.address import DatabaseAddress
from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.direct_connection import connect
from globeco_allocation.adapters.postgres.pool import Pool, open_pool
from globeco_allocation.domain import (
    Batch,
    ClaimTerms,
    Execution,
    Extent,
    FileQuantity,
    Window,
    lane_of,
    render,
    row_formatter,
)

START = datetime(2026, 3, 2, 16, tzinfo=UTC)
WINDOW = Window(START - timedelta(hours=1, microseconds=1), START)

STORE = """
INSERT INTO execution (execution_status, destination, ticker, received_timestamp, sent_timestamp, id,
                       execution_service_id, portfolio_id, security_id, trade_type, quantity, quantity_filled,
                       average_price, trade_date, ready_to_send_timestamp)
SELECT 'FULL', 'ML', 'IBM', now(), now(), given.*
  FROM unnest($1::integer[], $1::integer[], $2::text[], $3::text[], $4::text[], $5::numeric[], $6::numeric[],
              $7::numeric[], $8::date[], $9::timestamptz[]) AS given
"""


@dataclass(frozen=True)
class Stored:
    """A row of the table, as somebody may have stored it."""

    portfolio_id: str | None
    security_id: str
    trade_type: str
    quantity: Decimal
    quantity_filled: Decimal
    average_price: Decimal
    trade_date: date
    ready: datetime | None


def texts(longest: int) -> st.SearchStrategy[str]:
    anything = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    awkward = st.sampled_from(
        " ,\"\r\n\\.-'\t\N{NO-BREAK SPACE}\N{CJK UNIFIED IDEOGRAPH-6771}\N{GRINNING FACE}"
    )
    return st.one_of(
        st.text(anything, max_size=longest),
        st.text(awkward, max_size=longest),
        st.sampled_from(["", "\\.", "P-1", "NULL", "\N{GRINNING FACE}" * longest, '"' * longest]).map(
            lambda text: text[:longest]
        ),
    )


amounts = st.one_of(
    st.decimals("-9999999999.99999999", "9999999999.99999999", places=8, allow_nan=False),
    st.sampled_from([Decimal("NaN"), Decimal(0), Decimal("1E-8"), Decimal("-1E-8"), Decimal("1E+9")]),
)
# date.max and date.min stand for the infinite ones.
days = st.one_of(
    st.dates(),
    st.dates(START.date() - timedelta(days=402), START.date() + timedelta(days=2)),
    st.sampled_from([date.min, date.min + timedelta(days=1), date.max - timedelta(days=1), date.max]),
)
stamps = st.sampled_from(
    [
        *[WINDOW.previous_start, START - timedelta(microseconds=1), START - timedelta(minutes=1)] * 2,
        *[WINDOW.previous_start - timedelta(microseconds=1), START, None],
    ]
)
rows = st.builds(
    Stored,
    portfolio_id=st.none() | texts(24),
    security_id=texts(24),
    trade_type=texts(10),
    quantity=amounts,
    quantity_filled=amounts,
    average_price=amounts,
    trade_date=days,
    ready=stamps,
)
all_terms = st.builds(
    ClaimTerms,
    file_quantity=st.sampled_from(FileQuantity),
    lane_count=st.integers(1, 4),
    file_max_records=st.integers(1, 12),
)


async def store(pool: Pool, rows: Sequence[Stored]) -> None:
    """Have these rows in the table, and no others."""
    await pool.fetch("DELETE FROM execution")
    await pool.fetch(
        STORE,
        [3 * number for number in range(1, len(rows) + 1)],
        [row.portfolio_id for row in rows],
        [row.security_id for row in rows],
        [row.trade_type for row in rows],
        [row.quantity for row in rows],
        [row.quantity_filled for row in rows],
        [row.average_price for row in rows],
        [row.trade_date for row in rows],
        [row.ready for row in rows],
    )


async def check(pool: Pool, batch: Batch) -> None:
    batches, terms = PostgresBatches(pool), batch.terms
    lanes: dict[int, list[Execution]] = {}
    async with batches.executions(batch) as executions:
        async for one in executions:
            lanes.setdefault(lane_of(one.portfolio_id or "", terms.lane_count), []).append(one)
    ids = sorted(one.id for those in lanes.values() for one in those)
    sizes = {lane: len(those) for lane, those in lanes.items()}

    extent = await batches.extent(batch)

    assert extent == (Extent(sizes, ids[0], ids[-1]) if ids else Extent({}))
    written = dict.fromkeys(lanes, 0)
    async with batches.rows(batch, extent) as rows:
        async for some in rows:
            first = written[some.lane]
            end = written[some.lane] = first + some.rows.record_count
            assert some.rows == render(lanes[some.lane][first:end], row_formatter(terms.file_quantity))
            assert first // terms.file_max_records == (end - 1) // terms.file_max_records
    assert written == sizes


@asynccontextmanager
async def in_small_pieces(
    monkeypatch: pytest.MonkeyPatch, portion: int, piece: int, together: int
) -> AsyncGenerator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(batch_contents, "_IDS_AT_ONCE", portion)
        patch.setattr(pieces, "_PIECE_BYTES", piece)
        patch.setattr(lane_rows, "_ROWS_AT_ONCE", together)
        patch.setattr(lane_rows, "_KNOWN_PORTFOLIOS", together)
        yield


def test_rows_are_to_the_byte_as_the_domain_renders_them(
    database: DatabaseAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(database, {}) as owner:  # how dates are shown must not matter
        setting = sql.SQL("ALTER DATABASE {} SET datestyle = 'German, DMY'")
        owner.execute(setting.format(sql.Identifier(database.name)))
    with asyncio.Runner() as loop:

        async def scenario(
            stored: Sequence[Stored], terms: ClaimTerms, portion: int, piece: int, together: int
        ) -> None:
            async with (
                open_pool(database, max_size=3) as pool,
                in_small_pieces(monkeypatch, portion, piece, together),
            ):
                await store(pool, stored)
                await check(pool, Batch(7, WINDOW, terms))

        @settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
        @given(
            st.lists(rows, max_size=30),
            all_terms,
            st.integers(1, 40),
            st.integers(1, 1000),
            st.integers(1, 10),
        )
        def explore(stored: list[Stored], terms: ClaimTerms, portion: int, piece: int, together: int) -> None:
            loop.run(scenario(stored, terms, portion, piece, together))

        explore()
