"""One record at a time: whatever is wrong with it names its field and spoils no other."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.http.bench import report

from globeco_allocation.domain.execution import NewExecution
from globeco_allocation.domain.use_cases.receipts import Unreadable
from globeco_allocation.entrypoints.http.records import UnreadableBodyError, read_records

REQUIRED = [
    "executionServiceId",
    "executionStatus",
    "tradeType",
    "destination",
    "securityId",
    "ticker",
    "quantity",
    "receivedTimestamp",
    "sentTimestamp",
    "averagePrice",
]
OPTIONAL = ["isOpen", "limitPrice", "lastFillTimestamp", "quantityFilled", "totalAmount"]


def raw(text: str, field: str, key: int = 1) -> bytes:
    """A record in which *text* stands as it is for the value of *field*."""
    marked = json.dumps(report(key, **{field: "<here>"}))
    return marked.replace('"<here>"', text).encode()


def read_one(record: bytes) -> NewExecution | Unreadable:
    """Read *record* between two good ones, which must not suffer."""
    first, found, last = read_records(
        b"[" + json.dumps(report(8)).encode() + b"," + record + b"," + json.dumps(report(9)).encode() + b"]"
    )

    assert isinstance(first, NewExecution)
    assert isinstance(last, NewExecution)
    return found


def message_of(record: bytes) -> str:
    found = read_one(record)
    assert isinstance(found, Unreadable)
    return found.message


def accepted(record: bytes) -> NewExecution:
    found = read_one(record)
    assert isinstance(found, NewExecution)
    return found


@pytest.mark.parametrize("absent", [..., None], ids=["absent", "null"])
@pytest.mark.parametrize("field", REQUIRED)
def test_a_required_field_is_missed_by_name(field: str, absent: object) -> None:
    change: dict[str, Any] = {field: absent}

    assert message_of(json.dumps(report(**change)).encode()) == f"{field} is required"


@pytest.mark.parametrize("absent", [..., None], ids=["absent", "null"])
@pytest.mark.parametrize("field", OPTIONAL)
def test_an_optional_field_may_be_left_out(field: str, absent: object) -> None:
    change: dict[str, Any] = {field: absent}
    found = accepted(json.dumps(report(**change)).encode())

    assert found.is_open is False
    assert found.last_fill_timestamp is None
    assert found.quantity_filled in {Decimal(0), Decimal(100)}


def test_every_faulty_field_is_named_in_the_order_of_the_fields() -> None:
    record = report(
        averagePrice="10", quantity=0, executionStatus=7, ticker=..., sentTimestamp="yesterday", isOpen=1
    )

    assert message_of(json.dumps(record).encode()) == (
        "isOpen must be true or false; executionStatus must be a text; ticker is required; "
        "quantity must be greater than 0; sentTimestamp must be an RFC 3339 timestamp such as "
        "2025-06-02T14:00:01Z; averagePrice must be a number"
    )


@pytest.mark.parametrize(
    ("field", "text", "reason"),
    [
        ("quantity", '"100"', "must be a number"),
        ("quantity", "true", "must be a number"),
        ("quantity", "[1]", "must be a number"),
        ("quantity", "{}", "must be a number"),
        ("quantity", "NaN", "must be a number"),
        ("quantity", "Infinity", "must be a number"),
        ("quantity", "-Infinity", "must be a number"),
        ("quantity", "-1", "must be greater than 0"),
        ("quantity", "0.000000001", "must be greater than 0"),
        ("quantity", "1e400", "must have at most 10 digits before the decimal point"),
        ("quantity", "1e99999999", "must have at most 10 digits before the decimal point"),
        ("quantity", "1e9999999999999999999", "must have an exponent of ordinary size"),
        ("quantity", "1e-9999999999999999999", "must have an exponent of ordinary size"),
        ("quantity", "1" * 5000, "must have at most 10 digits before the decimal point"),
        ("averagePrice", "9999999999.999999995", "must have at most 10 digits before the decimal point"),
        ("averagePrice", "0", "must be greater than 0"),
        ("limitPrice", '""', "must be a number"),
        ("totalAmount", "-0.01", "must not be negative"),
        ("quantityFilled", "-1", "must not be negative"),
        ("executionServiceId", "5.5", "must be an integer"),
        ("executionServiceId", '"5"', "must be an integer"),
        ("executionServiceId", "true", "must be an integer"),
        ("executionServiceId", "NaN", "must be an integer"),
        ("executionServiceId", "9" * 5000, "must be an integer"),
        ("executionServiceId", "0", "must be between 1 and 2147483647"),
        ("executionServiceId", "-1", "must be between 1 and 2147483647"),
        ("executionServiceId", "2147483648", "must be between 1 and 2147483647"),
        ("isOpen", '"false"', "must be true or false"),
        ("isOpen", "0", "must be true or false"),
        ("ticker", "7", "must be a text"),
        ("ticker", "NaN", "must be a text"),
        ("ticker", '"\\u0000"', "must not contain a NUL character"),
        ("ticker", '"ABC\\u0000"', "must not contain a NUL character"),
        ("ticker", '"\\ud800"', "must be a text"),
        ("ticker", '"ab\\udc00cd"', "must be a text"),
        ("ticker", '"\\ud800\\u0041 and more"', "must be a text"),
        ("ticker", '"A\x00B"', "must be a text"),
        ("ticker", '"A\tB"', "must be a text"),
        ("ticker", '"A\n"', "must be a text"),
        ("ticker", '"\x1f"', "must be a text"),
        ("ticker", '"\\x41"', "must be a text"),
        ("ticker", '"\\u12"', "must be a text"),
        ("ticker", '"\\u12G4"', "must be a text"),
        ("ticker", '"\\U00000041"', "must be a text"),
        ("ticker", '"\\\t"', "must be a text"),
        ("ticker", '"\\é"', "must be a text"),
        ("sentTimestamp", '"2025-06-02T14:00:01Z\x00"', "must be a text"),
        ("quantity", '"1\t"', "must be a number"),
        ("executionServiceId", '"\x01"', "must be an integer"),
        ("ticker", f'"{"x" * 21}"', "must have at most 20 characters"),
        ("securityId", f'"{"x" * 25}"', "must have at most 24 characters"),
        ("tradeType", '"buy"', "must be BUY or SELL"),
        ("sentTimestamp", "1748872801", "must be a text"),
        (
            "sentTimestamp",
            '"2025-06-02T14:00:01"',
            "must be an RFC 3339 timestamp such as 2025-06-02T14:00:01Z",
        ),
        ("sentTimestamp", '"0001-01-01T00:00:00Z"', "must lie in the years 2 to 9998"),
        ("lastFillTimestamp", '"2025-02-30T00:00:00Z"', "must name a day and a time that exist"),
    ],
)
def test_a_value_out_of_the_ordinary_is_refused_by_name(field: str, text: str, reason: str) -> None:
    assert message_of(raw(text, field)) == f"{field} {reason}"


def test_bytes_that_are_no_utf_8_are_refused_by_name() -> None:
    assert message_of(raw('"<bytes>"', "ticker").replace(b"<bytes>", b"\xff")) == "ticker must be a text"


def test_a_record_nested_too_deeply_is_refused_alone() -> None:
    record = raw('"' + "[" * 3 + '"', "ticker")
    deep = record.replace(b'"[[["', b"[" * 400 + b"]" * 400)

    assert message_of(deep) == "ticker must be a text"


@pytest.mark.parametrize("depth", [90, 400, 900, 990, 1100, 5000])
@pytest.mark.parametrize("brackets", ["[]", "{}"], ids=["arrays", "objects"])
def test_no_depth_spoils_the_other_records(depth: int, brackets: str) -> None:
    value = "[" * depth + "]" * depth if brackets == "[]" else '{"]":' * depth + "1" + "}" * depth
    ignored = json.dumps(report())[:-1] + f', "note": {value}, "quantityFilled": 7}}'

    assert accepted(ignored.encode()).quantity_filled == 7
    assert message_of(raw(value, "ticker")) == "ticker must be a text"
    assert message_of(raw(value, "quantity")) == "quantity must be a number"
    assert read_one(value.encode()) in (
        Unreadable(0, "the record must be a JSON object"),
        Unreadable(0, "; ".join(f"{field} is required" for field in REQUIRED)),
    )


def test_a_text_full_of_brackets_is_no_depth() -> None:
    record = json.dumps(report(ticker="[{" * 10))[:-1] + f', "note": {"[" * 1100 + "]" * 1100}}}'

    assert accepted(record.encode()).ticker == "[{" * 10


@pytest.mark.parametrize("depth", [101, 1100])
def test_a_depth_without_an_end_refuses_the_body(depth: int) -> None:
    with pytest.raises(UnreadableBodyError):
        read_records(b"[" + json.dumps(report()).encode() + b"," + b"[" * depth)


@pytest.mark.parametrize("record", [b"7", b"null", b'"x"', b'"\x00"', b"[]", b"NaN", b"true"])
def test_an_element_that_is_no_object_is_refused_under_id_0(record: bytes) -> None:
    assert read_one(record) == Unreadable(0, "the record must be a JSON object")


@pytest.mark.parametrize(
    ("text", "shown"),
    [("77", 77), ("0", 0), ("-3", -3), (str(2**63 - 1), 2**63 - 1), (str(2**63), 0), ("1e3", 0), ('"77"', 0)],
)
def test_the_id_is_shown_as_far_as_it_can_be_read(text: str, shown: int) -> None:
    found = read_one(raw(text, "executionServiceId").replace(b'"FULL"', b"7"))

    assert isinstance(found, Unreadable)
    assert found.execution_service_id == shown


def test_amounts_are_exact() -> None:
    found = accepted(
        json.dumps(report())
        .replace('"quantity": 100', '"quantity": 123456789.12345678')
        .replace('"averagePrice": 10', '"averagePrice": 33.333333333333336')
        .replace('"totalAmount": 1000', '"totalAmount": 9999999999.99999999')
        .replace('"quantityFilled": 100', '"quantityFilled": 1E-8')
        .replace('"limitPrice": null', '"limitPrice": 0.1')
        .encode()
    )

    assert found.quantity == Decimal("123456789.12345678")
    assert found.average_price == Decimal("33.33333333")
    assert found.total_amount == Decimal("9999999999.99999999")
    assert found.quantity_filled == Decimal("0.00000001")
    assert found.limit_price == Decimal("0.1")


def test_instants_are_cut_off_after_the_microsecond_and_put_into_utc() -> None:
    found = accepted(json.dumps(report(sentTimestamp="2025-06-02T23:59:59.999999999-04:00")).encode())

    assert found.sent_timestamp == datetime(2025, 6, 3, 3, 59, 59, 999999, tzinfo=UTC)
    assert found.trade_date.isoformat() == "2025-06-02"


def test_whole_pairs_of_surrogates_are_ordinary_text() -> None:
    assert accepted(raw('"\\ud83d\\ude00"', "ticker")).ticker == "\U0001f600"


def test_text_that_reads_like_no_number_stays_text_when_a_body_is_mended() -> None:
    first, second = read_records(
        b"[" + raw('"NaN, \\"Infinity"', "ticker") + b"," + raw("NaN", "quantity", 2) + b"]"
    )

    assert isinstance(first, NewExecution)
    assert first.ticker == 'NaN, "Infinity'
    assert second == Unreadable(2, "quantity must be a number")


def test_unknown_fields_are_ignored_whatever_they_hold() -> None:
    record = json.dumps(report())[:-1] + ', "note": {"a": [1, NaN]}, "\\ud800": "\\ud800", "Ticker": 5}'

    assert accepted(record.encode()).ticker == "IBM"


@pytest.mark.parametrize("text", ["A\tB", "\x00", "\\x41", "\\u12", "\\é", "\\\t", "\\ud800"])
def test_a_name_or_an_ignored_value_that_is_no_json_text_spoils_nothing(text: str) -> None:
    record = json.dumps(report())[:-1] + f', "{text}": 1, "note": ["{text}"], "tick{text}er" : "x"}}'

    assert accepted(record.encode()).ticker == "IBM"


@pytest.mark.parametrize(
    ("text", "read"), [("\\u0041\\\\x", "A\\x"), ('\\"\\/', '"/'), ("\x7f", "\x7f"), ("\\b\\f\\t", "\b\f\t")]
)
def test_an_ordinary_text_stays_as_it_is_when_a_body_is_mended(text: str, read: str) -> None:
    first, second = read_records(b"[" + raw(f'"{text}"', "ticker") + b"," + raw('"\t"', "ticker", 2) + b"]")

    assert isinstance(first, NewExecution)
    assert first.ticker == read
    assert second == Unreadable(2, "ticker must be a text")


@pytest.mark.parametrize(
    "body",
    [
        b'["' + b'\\"' * 400_000 + b"NaN",
        b"NaN" + b'"' * 400_001,
        b"Na" * 400_000 + b"NaN",
        b'["' + b"\\x" * 400_000,
        b'["' + b"\t" * 800_000,
        b"[" * 800_000,
        b"[" + b'{"\\x":' * 100_000,
        b"[" * 101 + b"[]" * 400_000,
    ],
    ids=range(8),
)
@pytest.mark.timeout(10)
def test_a_hostile_body_costs_no_more_than_its_length(body: bytes) -> None:
    with pytest.raises(UnreadableBodyError):
        read_records(body)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=150)
@given(changes=st.dictionaries(st.sampled_from(REQUIRED + OPTIONAL), _JSON, max_size=6), data=st.data())
def test_a_record_is_accepted_or_names_only_fields_of_its_own(
    changes: dict[str, Any], data: st.DataObject
) -> None:
    found = read_one(
        json.dumps(report(**changes), ensure_ascii=data.draw(st.booleans())).encode(errors="surrogatepass")
    )

    if isinstance(found, Unreadable):
        named = {one.split(" ")[0] for one in found.message.split("; ")}
        assert named <= set(changes) or found.message == "the record must be a JSON object"


@settings(deadline=None, max_examples=300)
@given(
    st.binary(max_size=200) | st.text(alphabet='[]{}",:\\u0d8xNaInfity-1.e \t\0', max_size=60).map(str.encode)
)
def test_any_bytes_are_records_or_refused(body: bytes) -> None:
    try:
        found = read_records(body)
    except UnreadableBodyError:
        return

    assert 1 <= len(found) <= 100
