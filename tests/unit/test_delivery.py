"""How far a delivery is."""

from datetime import UTC, datetime

from globeco_allocation.domain import Delivery, DeliveryStatus, RecordVerdict


def test_a_delivery_has_ended_once_it_has_an_outcome() -> None:
    ended = {status for status in DeliveryStatus if status.ended}

    assert ended == {
        DeliveryStatus.DELIVERED,
        DeliveryStatus.PARTIAL,
        DeliveryStatus.FAILED,
        DeliveryStatus.RESOLVED,
    }


def test_a_status_is_kept_under_the_word_of_the_design() -> None:
    assert [str(status) for status in DeliveryStatus] == [
        "claimed",
        "written",
        "delivering",
        "delivered",
        "partial",
        "failed",
        "resolved",
    ]


def test_a_delivery_takes_the_steps_of_the_design_and_no_others() -> None:
    steps = {(str(before), str(after)) for after in DeliveryStatus for before in after.follows}

    assert steps == {
        ("claimed", "written"),
        ("written", "delivering"),
        ("delivering", "delivering"),  # the next attempt
        ("delivering", "delivered"),
        ("delivering", "partial"),
        ("delivering", "failed"),
        ("failed", "written"),  # a resend
        ("partial", "written"),
        ("claimed", "resolved"),  # by an operator
        ("written", "resolved"),
        ("delivering", "resolved"),
        ("partial", "resolved"),
        ("failed", "resolved"),
    }


def test_what_is_under_way_goes_on_under_its_number_and_what_ended_under_the_next() -> None:
    def delivery(*, attempts: int, under_way: bool) -> Delivery:
        return Delivery(
            id=1,
            batch_id=7,
            file_name="transactions_20260302_160000_7.csv",
            status=DeliveryStatus.DELIVERING,
            record_count=1,
            attempts=attempts,
            under_way=under_way,
            created=datetime(2026, 3, 2, 16, tzinfo=UTC),
        )

    assert delivery(attempts=2, under_way=True).attempt == 2
    assert delivery(attempts=2, under_way=False).attempt == 3


def test_sending_again_helps_only_what_was_not_stored_or_is_not_known() -> None:
    passing = {verdict for verdict in RecordVerdict if not verdict.for_good}

    assert passing == {RecordVerdict.NOT_SENT, RecordVerdict.UNKNOWN}
