"""``recover``: a restored database learns from manifests what was sent after its backup."""

from collections.abc import Callable

import pytest
from tests.recovery.left_by_runs import leave_record, printed
from tests.recovery.place import Place

from globeco_allocation.adapters.local_files import LocalFiles
from globeco_allocation.adapters.postgres.batches import PostgresBatches
from globeco_allocation.adapters.postgres.deliveries import PostgresDeliveries
from globeco_allocation.adapters.postgres.direct_connection import connect
from globeco_allocation.adapters.postgres.pool import Pool
from globeco_allocation.adapters.subprocess_cli.lane_lock import try_lane
from globeco_allocation.domain.use_cases.prepare import PrepareBatch


@pytest.fixture
def lost(place: Place) -> Place:
    """A backup from between two sends; three of what was sent after it were in it, and waited."""
    place.keep(10)
    place.send()
    place.keep(3)
    place.back_up()
    place.keep(20)
    place.send(lanes=3, largest=4)
    place.send()
    place.keep(5)
    place.send()
    place.keep(2)
    place.lose_and_restore()
    return place


def test_what_was_sent_after_the_backup_is_put_back_under_its_ids(lost: Place) -> None:
    said = lost.run("--apply")

    assert said.code == 0, said
    assert "25 executions put back under the ids under which they were sent" in said.out
    assert "3 executions known as not sent yet, and now as sent" in said.out
    assert "2 batches put back with their windows" in said.out
    assert "1 empty window put in" in said.out
    assert f"{len(lost.manifests()) - 1} deliveries put back" in said.out
    assert "1 delivery of the backup to be sent again" in said.out
    lost.check()


def test_without_apply_it_only_says_what_it_would_do(lost: Place) -> None:
    said = lost.run()

    assert said.code == 4
    assert "what would be done:\n  25 executions put back" in said.out
    assert "recover --apply" in said.out
    assert lost.ask("SELECT count(*), max(id) FROM execution") == [(13, 13)]
    assert lost.ask("SELECT count(*) FROM batch_history") == [(2,)]
    assert lost.ask("SELECT last_value FROM execution_id_seq") == [(13,)]


def test_a_second_time_it_finds_nothing_to_do(lost: Place) -> None:
    lost.run("--apply")
    before = lost.ask("SELECT * FROM delivery ORDER BY id")
    said = lost.run("--apply")

    assert (said.code, "nothing to do" in said.out) == (0, True)
    assert lost.ask("SELECT * FROM delivery ORDER BY id") == before


def test_where_nothing_was_lost_there_is_nothing_to_do(place: Place) -> None:
    place.keep(3)
    place.send()
    place.do("UPDATE delivery SET status = 'delivered'")

    assert "nothing to do" in place.run().out


def test_all_delivery_that_is_not_ended_may_have_been_sent_since(lost: Place) -> None:
    lost.run("--apply")
    rows = lost.ask("SELECT status, attempts, knowledge_attempt, under_way, outcome_status FROM delivery")
    rejects = lost.ask("SELECT DISTINCT source_id, verdict, attempt FROM delivery_reject")

    assert set(rows) == {("delivering", 1000, 1000, False, "failed")}
    assert rejects == [("", "unknown", 1000)]


def test_a_run_that_printed_its_counts_was_not_cut_off(lost: Place) -> None:
    ended, cut_off = (path.name.removesuffix(".executions.csv") for path in lost.manifests()[1:3])
    (lost.files / f"{ended}.stdout.log").write_text(printed(len(lost.lines(ended)), 0))
    (lost.files / f"{cut_off}.stdout.log").write_text("reading\n")
    for name in (ended, cut_off):
        leave_record(lost.files / f"{name}.run.json", 1)
    lost.run("--apply")

    found = dict(lost.ask("SELECT file_name, cut_offs FROM delivery"))
    assert (found[ended], found[cut_off]) == (0, 1)


def test_what_was_stored_without_being_booked_stays_named(lost: Place) -> None:
    name = lost.manifests()[-1].name.removesuffix(".executions.csv")
    source_id = lost.lines(name)[0].split(",")[2]
    answer = (
        '{""successful"":[],""failed"":[{""transaction"":{""sourceId"":""%s""},'
        '""errors"":[{""field"":""processing"",""message"":""no balance""}]}]}'
    )
    (lost.files / f"{name}.errors.csv.attempt-1").write_text(
        f'source_id,error_message\n{source_id},"HTTP 207: {answer % source_id}"\n'
    )
    lost.run("--apply")

    assert lost.ask("SELECT source_id, verdict FROM delivery_reject WHERE source_id <> ''") == [
        (source_id, "not_booked")
    ]


def test_a_window_claimed_in_the_backup_and_not_planned_there_gets_its_files(place: Place) -> None:
    place.keep(8)
    batch_id = place.claim(lanes=2)
    place.back_up()
    place.prepare()
    place.lose_and_restore()
    place.run("--apply")

    assert place.ask("SELECT count(*) FROM delivery WHERE batch_id = %s", batch_id) == [(2,)]
    place.check()


def test_files_planned_in_the_backup_are_in_doubt_once_they_have_a_manifest(place: Place) -> None:
    place.keep(8)
    place.claim(lanes=2, plan=True)
    place.back_up()
    place.prepare()
    place.lose_and_restore()
    place.run("--apply")

    assert place.ask("SELECT status, knowledge_attempt FROM delivery") == [("claimed", 1000)] * 2
    place.prepare()
    place.check()


def test_executions_of_the_backup_in_a_lost_window_that_got_no_file_go_into_the_next_one(
    place: Place,
) -> None:
    place.keep(6)
    place.back_up()
    place.claim()  # the database is lost before its file is written
    place.keep(4)
    place.claim(lanes=2)
    place.prepare()
    first = [path for path in place.files.iterdir() if "_l" not in path.name]
    for path in first:
        path.unlink()
    place.sent = {key: row for key, row in place.sent.items() if key > 6}
    place.lose_and_restore()

    said = place.run("--apply")

    assert "6 executions of the backup never sent: moved into the next window" in said.out
    place.check()
    place.send()
    place.check()


def test_what_is_posted_again_too_early_is_named_and_nothing_changes(lost: Place) -> None:
    lost.keep_keys([20, 14, 999])
    said = lost.run("--apply")

    assert said.code == 1
    assert "execution 14 in the database is another one than the one that was sent under this id" in said.err
    assert "executionServiceId 14 was kept again as execution 15" in said.err
    assert "restore the backup once more" in said.err
    assert lost.ask("SELECT count(*) FROM execution") == [(16,)]


def test_a_batch_that_was_claimed_too_early_is_named_and_nothing_changes(lost: Place) -> None:
    batch_id = lost.claim()
    said = lost.run("--apply")

    assert said.code == 1
    assert f"batch {batch_id} was claimed for another window after the backup was restored" in said.err
    assert lost.ask("SELECT count(*) FROM execution") == [(13,)]


def cut_off(text: str) -> str:
    return text[: len(text) // 2]


def changed(text: str) -> str:
    return text.replace(",IBM,", ",IBN,", 1)


def foreign(_text: str) -> str:
    return "source_id,error\n"


def not_of_a_batch(text: str) -> str:
    return text.replace("batch,,,", "batch,7,,", 1)


def too_long(text: str) -> str:
    return text + text.splitlines()[-1]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (cut_off, "is cut off"),
        (changed, "was changed after it was written"),
        (foreign, "its header is not a manifest's"),
        (not_of_a_batch, "its second line is not the batch's"),
        (too_long, "goes on behind its end"),
    ],
)
def test_a_broken_manifest_is_named_and_nothing_changes(
    lost: Place, spoil: Callable[[str], str], reason: str
) -> None:
    path = lost.manifests()[-1]
    path.write_text(spoil(path.read_text()))
    said = lost.run("--apply")

    assert said.code == 1
    assert path.name in said.err
    assert reason in said.err
    assert lost.ask("SELECT count(*) FROM execution") == [(13,)]


def test_a_missing_part_is_named(lost: Place) -> None:
    batch = lost.manifests()[1].name.split("_")[3]
    path = next(path for path in lost.manifests() if "_p0" in path.name)
    path.unlink()
    (lost.files / path.name.removesuffix(".executions.csv")).unlink()
    said = lost.run("--apply")

    assert f"a manifest of batch {batch}, lane" in said.err


def test_a_file_without_a_manifest_stops_it_until_it_is_left_out(lost: Place) -> None:
    path = lost.manifests()[-1]
    name = path.name.removesuffix(".executions.csv")
    path.unlink()
    refused = lost.run("--apply")
    said = lost.run("--apply", "--without-manifest", name)

    assert refused.code == 1
    assert f"the file {name} has no manifest" in refused.err
    assert "5 of its 5 executions are lost" in refused.err
    assert said.code == 0
    assert lost.ask("SELECT nextval('execution_id_seq')")[0][0] > max(lost.sent)


def test_a_file_that_is_gone_is_made_again_from_what_was_put_back(lost: Place) -> None:
    name = lost.data_files()[-1]
    content = (lost.files / name).read_bytes()
    (lost.files / name).unlink()
    assert lost.run("--apply").code == 0

    async def write_again(pool: Pool) -> None:
        deliveries = PostgresDeliveries(pool)
        (delivery,) = [one for one in await deliveries.not_ended(limit=100) if one.file_name == name]
        await PrepareBatch(PostgresBatches(pool), deliveries, LocalFiles(lost.files)).write_again(delivery)

    lost.on_pool(write_again)
    assert (lost.files / name).read_bytes() == content


def test_a_changed_transaction_file_is_named(lost: Place) -> None:
    name = lost.data_files()[-1]
    with (lost.files / name).open("a") as file:
        file.write("\n")

    assert f"the file {name} is not the one that its manifest describes" in lost.run("--apply").err


def test_it_refuses_while_a_replica_is_connected(lost: Place) -> None:
    with connect(lost.database, {}, command="serve"):
        said = lost.run("--apply")

    assert said.code == 1
    assert "stop every replica" in said.err
    assert lost.ask("SELECT count(*) FROM execution") == [(13,)]


def test_it_waits_for_a_run_that_goes_on(lost: Place) -> None:
    held = try_lane(lost.files, 0, 1)
    assert held is not None
    said = lost.run("--apply")
    held.close()

    assert said.code == 3
    assert "a run of the accounting CLI goes on" in said.err


def test_an_execution_that_was_pending_in_the_backup_and_sent_after_it_is_pending_no_more(
    lost: Place,
) -> None:
    lost.do(
        "INSERT INTO pending_execution SELECT 20, false, 'FULL', 'BUY', 'ML', 'S', 'IBM', 1, NULL, now(),"
        " now(), NULL, 1, 1, 1, 'pending', 'no portfolio', 0, now(), now()"
    )
    said = lost.run("--apply")

    assert "1 execution no longer pending" in said.out
    assert lost.ask("SELECT count(*) FROM pending_execution") == [(0,)]
