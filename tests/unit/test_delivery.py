"""How far a delivery is."""

from globeco_allocation.domain import DeliveryStatus


def test_a_delivery_has_ended_once_it_has_an_outcome() -> None:
    ended = {status for status in DeliveryStatus if status.ended}

    assert ended == {DeliveryStatus.DELIVERED, DeliveryStatus.PARTIAL, DeliveryStatus.FAILED}


def test_a_status_is_kept_under_the_word_of_the_design() -> None:
    assert [str(status) for status in DeliveryStatus] == [
        "claimed",
        "written",
        "delivering",
        "delivered",
        "partial",
        "failed",
    ]


def test_a_delivery_takes_the_steps_of_the_design_and_no_others() -> None:
    steps = {(str(before), str(after)) for after in DeliveryStatus for before in after.follows}

    assert steps == {
        ("claimed", "written"),
        ("written", "delivering"),
        ("delivering", "delivered"),
        ("delivering", "partial"),
        ("delivering", "failed"),
        ("failed", "delivering"),
    }
