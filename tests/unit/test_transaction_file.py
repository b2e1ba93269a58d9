"""The transaction file is byte for byte what the accounting CLI was recorded to load."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from globeco_allocation.domain import (
    HEADER,
    Batch,
    ClaimTerms,
    Execution,
    FileQuantity,
    PlannedFile,
    file_name,
    plan_files,
    row_formatter,
)

MakeKept = Callable[..., Execution]
MakeBatch = Callable[..., Batch]

GOLDEN = Path(__file__).parents[1] / "data" / "accounting-cli" / "all-good" / "input.csv"
ROW = row_formatter(FileQuantity.ORDERED)


def test_the_file_is_the_recorded_one_byte_for_byte(make_kept: MakeKept) -> None:
    executions = [
        make_kept(id=1),
        make_kept(
            id=2,
            security_id="68336002fe95851f0a2aedaa",
            trade_type="SELL",
            quantity=Decimal(25),
            average_price=Decimal("10.00000001"),
        ),
        make_kept(id=3, portfolio_id="683b6b9620f302c879a5fef5"),
    ]

    written = HEADER + b"".join(map(ROW, executions))

    assert written == GOLDEN.read_bytes()


def test_nothing_but_the_recorded_header_goes_first() -> None:
    assert GOLDEN.read_bytes().startswith(HEADER)
    assert HEADER.isascii()


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        ("0.1", b"0.10000000"),
        ("123456789.12345678", b"123456789.12345678"),
        ("9999999999.99999999", b"9999999999.99999999"),
        ("33.33333333", b"33.33333333"),
        ("1E+2", b"100.00000000"),
        ("1E-8", b"0.00000001"),
    ],
)
def test_quantity_and_price_have_exactly_eight_decimals(
    make_kept: MakeKept, amount: str, written: bytes
) -> None:
    row = ROW(make_kept(quantity=Decimal(amount), average_price=Decimal(amount)))

    assert row.split(b",")[4:6] == [written, written]


def test_the_quantity_is_the_ordered_one_unless_the_filled_one_is_asked_for(make_kept: MakeKept) -> None:
    part_filled = make_kept(quantity=Decimal(1000), quantity_filled=Decimal(640))

    assert row_formatter(FileQuantity.ORDERED)(part_filled).split(b",")[4] == b"1000.00000000"
    assert row_formatter(FileQuantity.FILLED)(part_filled).split(b",")[4] == b"640.00000000"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("plain", "plain"),
        (" blanks inside ", " blanks inside "),
        ("semi;colon'quote", "semi;colon'quote"),
        ("a,b", '"a,b"'),
        ('say "so"', '"say ""so"""'),
        ('"', '""""'),
        ("line\nfeed", '"line\nfeed"'),
        ("carriage\rreturn", '"carriage\rreturn"'),
        (
            "\N{LATIN SMALL LETTER E WITH ACUTE}\N{GRINNING FACE}",
            "\N{LATIN SMALL LETTER E WITH ACUTE}\N{GRINNING FACE}",
        ),
    ],
)
def test_a_field_is_quoted_only_where_rfc_4180_needs_it(make_kept: MakeKept, text: str, field: str) -> None:
    row = ROW(make_kept(portfolio_id=text, security_id=text, trade_type="BUY"))

    assert row.decode() == f"{field},{field},AC1,BUY,100.00000000,50.12500000,20260302\n"


def test_a_row_of_another_program_without_portfolio_is_written_with_an_empty_one(make_kept: MakeKept) -> None:
    assert ROW(make_kept(portfolio_id=None)).startswith(b",68336002fe95851f0a2aeda9,AC1,")


@pytest.mark.parametrize(
    ("day", "written"),
    [
        (date(2026, 3, 2), b"20260302"),
        (date(2, 1, 1), b"00020101"),
        (date(999, 12, 31), b"09991231"),
        (date(9998, 12, 31), b"99981231"),
    ],
)
def test_a_date_has_eight_digits_in_every_year(make_kept: MakeKept, day: date, written: bytes) -> None:
    assert ROW(make_kept(trade_date=day)).endswith(b"," + written + b"\n")


@pytest.mark.parametrize(
    ("start", "stamp"),
    [
        (datetime(2026, 3, 2, 16, 5, 9, 999999, tzinfo=UTC), "20260302_160509"),
        (datetime(2026, 3, 2, 23, 30, 0, tzinfo=timezone(timedelta(hours=-5))), "20260303_043000"),
        (datetime(900, 1, 2, 3, 4, 5, tzinfo=UTC), "09000102_030405"),
    ],
)
def test_a_file_is_named_for_its_batchs_start_in_utc(
    make_batch: MakeBatch, start: datetime, stamp: str
) -> None:
    assert file_name(make_batch(41, start)) == f"transactions_{stamp}_41.csv"


def test_two_batches_of_one_second_have_different_names(make_batch: MakeBatch) -> None:
    earlier = make_batch(41, datetime(2026, 3, 2, 16, 0, 0, 1, tzinfo=UTC))
    later = make_batch(42, datetime(2026, 3, 2, 16, 0, 0, 2, tzinfo=UTC))

    assert file_name(earlier) != file_name(later)


def lanes(batch: Batch, lane_count: int, file_max_records: int = 100) -> Batch:
    return replace(batch, terms=ClaimTerms(lane_count=lane_count, file_max_records=file_max_records))


@pytest.mark.parametrize(
    ("lane_count", "parts", "marks"),
    [(1, 1, ""), (1, 2, "_p1"), (4, 1, "_l3"), (4, 2, "_l3_p1")],
)
def test_lane_and_part_are_named_where_there_are_several(
    make_batch: MakeBatch, lane_count: int, parts: int, marks: str
) -> None:
    batch = lanes(make_batch(41), lane_count)

    name = file_name(batch, 3 if lane_count > 1 else 0, parts - 1, parts=parts)

    assert name == f"transactions_20260302_160000_41{marks}.csv"


def test_a_batch_within_the_limit_is_one_file(make_batch: MakeBatch) -> None:
    batch = lanes(make_batch(41), 1)

    assert plan_files(batch, {0: 100}) == [PlannedFile(0, 0, "transactions_20260302_160000_41.csv", 100)]


def test_a_lane_beyond_the_limit_becomes_parts(make_batch: MakeBatch) -> None:
    planned = plan_files(lanes(make_batch(41), 4), {3: 201, 1: 7})

    assert planned == [
        PlannedFile(1, 0, "transactions_20260302_160000_41_l1.csv", 7),
        PlannedFile(3, 0, "transactions_20260302_160000_41_l3_p0.csv", 100),
        PlannedFile(3, 1, "transactions_20260302_160000_41_l3_p1.csv", 100),
        PlannedFile(3, 2, "transactions_20260302_160000_41_l3_p2.csv", 1),
    ]


def test_an_empty_batch_has_no_file(make_batch: MakeBatch) -> None:
    assert plan_files(make_batch(41), {}) == []
    assert plan_files(make_batch(41), {0: 0}) == []
