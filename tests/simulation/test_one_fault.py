"""One fault at one port call, each in turn: two replicas, a send, and every call that they make for it."""

from random import Random

import pytest
from tests.simulation.faults import CallFault, OneFault
from tests.simulation.liveness import come_to_an_end
from tests.simulation.quiet_log import quiet_log
from tests.simulation.world import World

from globeco_allocation.domain.delivery import DeliveryStatus

EXECUTIONS = ["P-A", "P-B", "P-C", "P-A", "P-B"]
FILES = 3


def send_with(faults: OneFault) -> World:
    """Send a batch of three files in two lanes, and let everything end."""
    world = World(Random(1))  # noqa: S311 - to be repeated, not to be secret
    world.set_terms(lanes=2, most_records=2)
    with quiet_log() as world.watch.violations, world:
        world.call_faults = faults
        world.keep(EXECUTIONS)
        world.send(0)
        world.wait(10.0)
        come_to_an_end(world)
    return world


def calls_of_a_send() -> list[str]:
    """Name the calls that are made until all is delivered, and some more."""
    faults = OneFault()
    send_with(faults)
    last = max(at for at, name in enumerate(faults.calls) if name == "deliveries.settled")
    return faults.calls[: last + 4]


CALLS = calls_of_a_send()


@pytest.mark.parametrize("fault", [fault for fault in CallFault if fault is not CallFault.NONE])
def test_a_fault_at_any_call_costs_no_attempt_and_no_record(fault: CallFault) -> None:
    for number, name in enumerate(CALLS):
        world = send_with(OneFault(number, fault))

        told = f"{fault.name} at call {number}, {name}"
        deliveries = [row.delivery for row in world.database.deliveries.values()]
        assert {one.status for one in deliveries} == {DeliveryStatus.DELIVERED}, told
        assert {one.attempts for one in deliveries} == {1}, told
        assert len(world.books.runs) == len(deliveries), told
        assert len(world.books.booked) == len(EXECUTIONS), told
        if fault not in {CallFault.PAUSE_BEFORE, CallFault.PAUSE_AFTER}:
            assert world.loop.seconds < 60.0, told


def test_the_calls_are_those_of_a_whole_send() -> None:
    assert CALLS.count("deliveries.settled") == FILES
    assert {"batches.claim", "files.draft.publish", "accounting.run", "leases.release"} <= set(CALLS)
