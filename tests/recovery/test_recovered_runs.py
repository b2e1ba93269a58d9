"""``recover`` judges the runs of a file once more, from what they have left beside it."""

from pathlib import Path

import pytest
from tests.recovery.left_by_runs import (
    could_not_be_sent,
    leave_errors,
    leave_record,
    not_booked,
    printed,
    refused_as_known,
)
from tests.recovery.place import Place


class SentFile:
    """A file of ten records, sent after the backup and lost with the database."""

    def __init__(self, place: Place) -> None:
        place.back_up()
        place.keep(10)
        place.send()
        (self.name,) = place.data_files()
        self.place = place
        self.source_ids = [line.split(",")[2] for line in place.lines(self.name)]

    def beside(self, suffix: str) -> Path:
        return self.place.files / f"{self.name}{suffix}"

    def recover(self) -> None:
        self.place.lose_and_restore()
        said = self.place.run("--apply")
        assert said.code == 0, said

    def named(self) -> dict[str, str]:
        """Return the records that a person must look at, by their places in the file, from 1."""
        rows = self.place.ask(
            "SELECT source_id, verdict FROM delivery_reject WHERE verdict IN ('not_booked', 'unconfirmed')"
        )
        return {str(self.source_ids.index(source_id) + 1): verdict for source_id, verdict in rows}

    def delivery(self, columns: str) -> tuple[object, ...]:
        return self.place.ask(f"SELECT {columns} FROM delivery")[0]


@pytest.fixture
def sent(place: Place) -> SentFile:
    return SentFile(place)


def test_the_record_in_flight_is_that_of_the_run_that_was_cut_off_not_the_last_that_is_known(
    sent: SentFile,
) -> None:
    sent.beside(".stdout.log.attempt-1").write_text("reading\n")  # killed with the sixth record in flight
    sent.beside(".stdout.log").write_text(printed(4, 6))
    leave_errors(sent.beside(".errors.csv"), [(one, refused_as_known(one)) for one in sent.source_ids[:6]])
    leave_record(sent.beside(".run.json"), 2)
    sent.recover()

    assert sent.named() == {"6": "unconfirmed"}
    assert sent.delivery("attempts, cut_offs, status") == (1000, 0, "delivering")


def test_a_last_run_that_was_cut_off_has_a_record_in_flight_still(sent: SentFile) -> None:
    sent.beside(".stdout.log.attempt-1").write_text(printed(4, 6))
    leave_errors(
        sent.beside(".errors.csv.attempt-1"), [(one, could_not_be_sent(one)) for one in sent.source_ids[4:]]
    )
    sent.beside(".stdout.log").write_text("reading\n")
    leave_record(sent.beside(".run.json"), 2)
    sent.recover()

    assert sent.named() == {}
    assert sent.delivery("cut_offs") == (1,)
    assert sent.place.ask("SELECT verdict, count(*) FROM delivery_reject GROUP BY 1") == [("not_sent", 6)]


def test_a_run_past_its_time_limit_was_cut_off_whatever_it_had_printed(sent: SentFile) -> None:
    sent.beside(".stdout.log").write_text(printed(10, 0))
    sent.beside(".timed-out.attempt-1").touch()
    leave_record(sent.beside(".run.json"), 1)
    sent.recover()

    assert sent.delivery("cut_offs") == (1,)


def test_what_a_run_found_stored_without_being_booked_stays_named_after_later_runs(sent: SentFile) -> None:
    third = sent.source_ids[2]
    sent.beside(".stdout.log.attempt-1").write_text(printed(9, 1))
    leave_errors(sent.beside(".errors.csv.attempt-1"), [(third, not_booked(third))])
    sent.beside(".stdout.log").write_text(printed(0, 10))
    leave_errors(sent.beside(".errors.csv"), [(one, refused_as_known(one)) for one in sent.source_ids])
    leave_record(sent.beside(".run.json"), 2)
    sent.recover()

    assert sent.named() == {"3": "not_booked"}


def test_a_file_that_is_gone_is_judged_by_its_manifest(sent: SentFile) -> None:
    sent.beside(".stdout.log.attempt-1").write_text("reading\n")
    sent.beside(".stdout.log").write_text(printed(8, 2))
    leave_errors(sent.beside(".errors.csv"), [(one, refused_as_known(one)) for one in sent.source_ids[:2]])
    leave_record(sent.beside(".run.json"), 2)
    sent.beside("").unlink()
    sent.recover()

    assert sent.named() == {"2": "unconfirmed"}


def test_kubernetes_jobs_are_judged_by_their_error_files_alone(sent: SentFile) -> None:
    # The first Job was killed, and left nothing; the second one found what it had stored; the third one all.
    leave_errors(
        sent.beside(".errors.csv.attempt-2"), [(one, refused_as_known(one)) for one in sent.source_ids[:6]]
    )
    leave_errors(sent.beside(".errors.csv"), [(one, refused_as_known(one)) for one in sent.source_ids])
    sent.recover()

    # Whether there was another Job between the two that left something, nobody knows.
    assert sent.named() == {"6": "unconfirmed", "10": "unconfirmed"}
    assert sent.delivery("cut_offs") == (0,)


def test_jobs_that_are_known_to_have_come_to_their_ends_had_nothing_in_flight(sent: SentFile) -> None:
    sent.beside(".completed.attempt-1").touch()  # it refused nothing
    sent.beside(".completed.attempt-2").touch()  # it found everything
    leave_errors(sent.beside(".errors.csv"), [(one, refused_as_known(one)) for one in sent.source_ids])
    sent.recover()

    assert sent.named() == {}
    assert sent.delivery("cut_offs") == (0,)


def test_after_a_job_that_refused_nothing_another_one_may_have_been_cut_off(sent: SentFile) -> None:
    sent.beside(".completed.attempt-1").touch()
    sent.recover()

    assert sent.named() == {}
    assert sent.delivery("cut_offs") == (1,)


def test_a_job_that_left_nothing_may_have_been_cut_off(sent: SentFile) -> None:
    leave_errors(
        sent.beside(".errors.csv.attempt-1"), [(one, could_not_be_sent(one)) for one in sent.source_ids]
    )
    sent.recover()

    assert sent.delivery("cut_offs") == (1,)


def test_a_file_that_had_failed_in_the_backup_and_was_sent_again_since_is_sent_once_more(
    sent: SentFile,
) -> None:
    place = sent.place
    place.do("UPDATE delivery SET status = 'failed', attempts = 6")
    place.back_up()
    leave_record(sent.beside(".run.json"), 8)
    sent.recover()

    assert sent.delivery("status, attempts, knowledge_attempt") == ("delivering", 1000, 1000)
    assert "nothing to do" in place.run("--apply").out


def test_a_file_that_has_failed_for_good_is_left_to_its_operator(sent: SentFile) -> None:
    place = sent.place
    place.do("UPDATE delivery SET status = 'failed', attempts = 6")
    place.back_up()
    leave_record(sent.beside(".run.json"), 6)
    place.lose_and_restore()

    assert "nothing to do" in place.run("--apply").out
    assert sent.delivery("status, attempts") == ("failed", 6)


def test_after_a_second_loss_no_attempt_has_the_number_of_one_that_was_made(sent: SentFile) -> None:
    sent.recover()
    leave_record(sent.beside(".run.json"), 1003)
    sent.recover()

    assert sent.delivery("attempts, knowledge_attempt") == (2000, 2000)


def test_nor_has_it_where_the_runs_have_left_no_number(sent: SentFile) -> None:
    sent.recover()
    sent.recover()  # Kubernetes Jobs were created and deleted meanwhile

    assert sent.delivery("attempts") == (2000,)


def test_what_it_only_says_takes_no_number(sent: SentFile) -> None:
    sent.place.lose_and_restore()
    sent.place.run()
    sent.recover()

    assert sent.delivery("attempts") == (1000,)
