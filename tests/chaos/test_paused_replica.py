"""Of two replicas one is paused past its lease: the other one goes on, and the first changes nothing more."""

import time
from collections.abc import Callable

import psutil
from tests.chaos.gates import Step, closed_gate
from tests.chaos.stage import TAKEN_OVER_SECONDS, Stage, paused
from tests.process.service_process import ServiceProcess, wait_until

GOES_ON = "delivery attempt taken on"
LOST = "another process goes on with this"
BROKEN_OFF = "step broken off, it is due again in a moment"
SLOW_MS = 60


def holder(stage: Stage, of: str, replicas: list[ServiceProcess]) -> tuple[ServiceProcess, ServiceProcess]:
    """Return the replica that holds a lease, and the other one."""
    ((name,),) = stage.ask(f"SELECT lease_holder FROM {of} WHERE lease_until IS NOT NULL")
    first, second = replicas
    return (first, second) if f"-{first.process.pid}-" in name else (second, first)


def everything(stage: Stage) -> tuple[object, ...]:
    """Return all that a late hand might change."""
    return (
        stage.ask("SELECT * FROM delivery ORDER BY id"),
        stage.ask("SELECT * FROM batch_claim ORDER BY batch_id"),
        stage.ask("SELECT * FROM delivery_reject ORDER BY 1, 2"),
        {path.name: path.read_bytes() for path in stage.files.glob("transactions_*.csv*") if path.is_file()},
        stage.accounting.books(),
    )


def until_lease_has_passed(stage: Stage, service: ServiceProcess, said: str, since: float) -> None:
    wait_until(has_said(service, said), f"the log says {said!r}", TAKEN_OVER_SECONDS)
    stage.note(f"taken over after {time.monotonic() - since:.1f} s")


def comes_back_too_late(stage: Stage, sleeper: ServiceProcess, has_noticed: Callable[[], bool]) -> None:
    """Let a paused replica continue when all is over, and see that it changes nothing."""
    before = everything(stage)
    psutil.Process(sleeper.process.pid).resume()
    wait_until(has_noticed, "the replica notices that it slept")

    assert everything(stage) == before


def has_said(service: ServiceProcess, *messages: str) -> Callable[[], bool]:
    return lambda: any(line.get("message") in messages for line in tuple(service.log))


def test_while_it_writes(stage: Stage) -> None:
    replicas = [stage.replica(DELIVERY_LANES="2") for _ in range(2)]
    stage.post(replicas[0], 1100)
    with closed_gate(stage.database, Step.WRITTEN) as gate:
        stage.send_meanwhile(replicas[0])
        gate.until_reached()
        sleeper, other = holder(stage, "batch_claim", replicas)
        paused(sleeper)
        since = time.monotonic()
    # One of its two files is recorded as written; when it wakes up it goes on with the other one.
    until_lease_has_passed(stage, other, "batch taken over: its files are not all written", since)
    batch = stage.until_at_rest(other, stage.newest_batch())
    assert (batch["status"], batch["recordCount"]) == ("delivered", 1100)

    comes_back_too_late(stage, sleeper, has_said(sleeper, LOST, BROKEN_OFF))
    stage.check(sleeper)
    stage.check(other)


def test_right_before_it_starts_the_cli(stage: Stage) -> None:
    replicas = [stage.replica() for _ in range(2)]
    stage.post(replicas[0], 20)
    with closed_gate(stage.database, Step.BEGUN) as gate:
        stage.send_meanwhile(replicas[0])
        gate.until_reached()
        sleeper, other = holder(stage, "delivery", replicas)
        paused(sleeper)
        since = time.monotonic()
    # It has leave to start, and holds its lane: the other one has the lease soon, but cannot pass.
    until_lease_has_passed(stage, other, GOES_ON, since)
    assert stage.accounting.books().runs == []
    psutil.Process(sleeper.process.pid).resume()

    delivery = stage.only_delivery(other, stage.newest_batch())
    assert (delivery["status"], delivery["acceptedCount"], delivery["attempts"]) == ("delivered", 20, 1)
    assert len(stage.accounting.books().runs) == 1
    stage.check(sleeper)
    stage.check(other)


def test_while_the_cli_runs(stage: Stage) -> None:
    replicas = [stage.replica() for _ in range(2)]
    stage.post(replicas[0], 20)
    stage.accounting.does(f"slow:{SLOW_MS}")
    stage.send_meanwhile(replicas[0])
    stage.accounting.until_rows_are_booked(3)
    run = stage.accounting.pause_the_run()
    sleeper, other = holder(stage, "delivery", replicas)
    paused(sleeper)
    since = time.monotonic()
    until_lease_has_passed(stage, other, GOES_ON, since)
    stage.until_lease_is_renewed()  # the other one waits for as long as the run goes on
    run.resume()
    delivery = stage.only_delivery(other, stage.newest_batch())
    assert (delivery["status"], delivery["acceptedCount"], delivery["attempts"]) == ("delivered", 20, 1)

    comes_back_too_late(stage, sleeper, has_said(sleeper, LOST))
    assert len(stage.accounting.books().runs) == 1
    stage.check(sleeper)
    stage.check(other)


def test_while_it_stores_the_verdict(stage: Stage) -> None:
    replicas = [stage.replica() for _ in range(2)]
    stage.post(replicas[0], 20)
    with closed_gate(stage.database, Step.JUDGED) as gate:
        stage.send_meanwhile(replicas[0])
        gate.until_reached()
        sleeper, other = holder(stage, "delivery", replicas)
        paused(sleeper)
        since = time.monotonic()
        gate.turn_away()
    until_lease_has_passed(stage, other, GOES_ON, since)
    delivery = stage.only_delivery(other, stage.newest_batch())
    assert (delivery["status"], delivery["acceptedCount"], delivery["attempts"]) == ("delivered", 20, 1)

    comes_back_too_late(stage, sleeper, has_said(sleeper, LOST, BROKEN_OFF))
    assert len(stage.accounting.books().runs) == 1
    stage.check(sleeper)
    stage.check(other)
