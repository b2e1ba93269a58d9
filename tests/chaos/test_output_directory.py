"""The output directory is full, read-only, or gone; and then it is not any more."""

import resource
import shutil
import time

import psutil
import pytest
from tests.chaos.disk import small_disk
from tests.chaos.gates import Step, closed_gate
from tests.chaos.stage import Stage

RECORDS = 1000
"""Their file takes more than the 64 KiB that are written at once."""
ENOUGH_FOR_HALF = 40_000
BOOKED_SECONDS = 30.0
LAPSE_SECONDS = 60.0


@pytest.mark.long
def test_gone_in_the_middle_of_a_delivery_and_made_anew(stage: Stage) -> None:
    service = stage.replica()
    stage.post(service, 40)
    stage.accounting.does("slow:60")
    stage.send_meanwhile(service)
    stage.accounting.until_rows_are_booked(3)
    stage.post(service, 20)
    assert stage.send(service)[0] == 202  # its file waits for the lane
    first, second = stage.newest_batch() - 1, stage.newest_batch()
    shutil.rmtree(stage.files)
    status, answer = stage.send(service)
    assert (status, stage.newest_batch()) == (503, second)
    assert "missing" in answer["message"]
    stage.accounting.until_no_run_goes_on()
    stage.files.mkdir()
    since = time.monotonic()

    for batch, count in ((first, 40), (second, 20)):
        found = stage.until_at_rest(service, batch, LAPSE_SECONDS + BOOKED_SECONDS)
        stage.note(f"{found['status']} {time.monotonic() - since:.1f} s after it was made anew")
        (delivery,) = found["deliveries"]
        assert (delivery["status"], delivery["acceptedCount"]) == ("delivered", count), delivery
    stage.check(service, seconds=LAPSE_SECONDS + BOOKED_SECONDS)
    stage.note(f"all is well {time.monotonic() - since:.1f} s after it was made anew")


def test_gone_and_brought_back(stage: Stage) -> None:
    service = stage.replica()
    aside = stage.files.with_name("aside")
    stage.files.rename(aside)
    stage.post(service, 20)
    status, answer = stage.send(service)
    assert (status, stage.newest_batch()) == (503, 0), answer
    aside.rename(stage.files)
    since = time.monotonic()

    stage.check(service)

    stage.note(f"all is well {time.monotonic() - since:.1f} s after it was brought back")
    assert time.monotonic() - since < BOOKED_SECONDS


def test_full_in_the_middle_of_a_file(stage: Stage) -> None:
    with small_disk(stage.files) as disk:
        service = stage.replica(SEND_WAIT_SECONDS="20")
        stage.post(service, RECORDS)
        disk.leave_free(ENOUGH_FOR_HALF)
        status, answer = stage.send(service)
        assert (status, "no space is left" in answer["message"]) == (500, True), answer
        assert list(stage.files.glob("transactions_*")) == []
        disk.leave_free(0)
        newest = stage.newest_batch()
        stage.post(service, 10)
        status, answer = stage.send(service)
        assert (status, stage.newest_batch()) == (503, newest), (
            answer
        )  # it claims nothing that it cannot write
        disk.empty()
        since = time.monotonic()

        delivery = stage.only_delivery(service, newest)
        stage.note(f"{delivery['status']} {time.monotonic() - since:.1f} s after there was space")
        assert (delivery["status"], delivery["acceptedCount"]) == ("delivered", RECORDS)
        stage.check(service)


def test_full_as_the_cli_ends(stage: Stage) -> None:
    with small_disk(stage.files) as disk:
        service = stage.replica()
        stage.post(service, 40)
        stage.accounting.does("slow:60")
        stage.send_meanwhile(service)
        stage.accounting.until_rows_are_booked(3)
        disk.leave_free(0)
        stage.accounting.until_no_run_goes_on()
        stage.post(service, 1)
        status, _ = stage.send(service)
        assert status == 503
        disk.empty()
        since = time.monotonic()

        delivery = stage.only_delivery(service, stage.newest_batch())
        stage.note(f"{delivery['status']} {time.monotonic() - since:.1f} s after there was space")
        # It could not say how it ended: it counts as cut off, with the last known record in flight.
        assert (delivery["status"], delivery["acceptedCount"]) == ("partial", 39), delivery
        assert [one["verdict"] for one in delivery["rejects"]] == ["unconfirmed"]
        assert set(stage.accounting.books().statuses.values()) == {"PROC"}
        stage.check(service)


def test_a_file_that_would_be_larger_than_the_service_may_write(stage: Stage) -> None:
    service = stage.replica()
    stage.post(service, RECORDS)
    limited = psutil.Process(service.process.pid)
    (_, hard) = limited.rlimit(psutil.RLIMIT_FSIZE)
    limited.rlimit(psutil.RLIMIT_FSIZE, (ENOUGH_FOR_HALF, hard))
    status, answer = stage.send(service)
    assert (status, "larger than this process may write" in answer["message"]) == (500, True), answer
    assert list(stage.files.glob("transactions_*")) == []
    limited.rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
    since = time.monotonic()

    delivery = stage.only_delivery(service, stage.newest_batch())
    stage.note(f"{delivery['status']} {time.monotonic() - since:.1f} s after the limit was lifted")
    assert (delivery["status"], delivery["acceptedCount"]) == ("delivered", RECORDS)
    stage.check(service)


def test_read_only_after_the_claim(stage: Stage) -> None:
    with small_disk(stage.files) as disk:
        service = stage.replica()
        stage.post(service, 20)
        with closed_gate(stage.database, Step.PLAN) as gate:
            sending = stage.send_meanwhile(service)
            gate.until_reached()
            disk.make_read_only()
        told = sending.result(30)
        assert told is not None
        assert (told[0], "read-only" in told[1]["message"]) == (500, True), told
        claimed = stage.newest_batch()
        stage.post(service, 10)
        status, answer = stage.send(service)
        assert (status, "read-only" in answer["message"]) == (503, True), answer
        assert stage.newest_batch() == claimed
        disk.make_writable()
        since = time.monotonic()

        delivery = stage.only_delivery(service, claimed)
        stage.note(
            f"{delivery['status']} {time.monotonic() - since:.1f} s after it could be written to again"
        )
        assert (delivery["status"], delivery["acceptedCount"]) == ("delivered", 20)
        stage.check(service)
