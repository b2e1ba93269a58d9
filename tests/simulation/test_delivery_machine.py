"""The delivery side as a state machine: Hypothesis chooses what happens, and shortens what goes wrong."""

from collections.abc import Callable
from datetime import timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,  # pyright: ignore[reportUnknownVariableType]
)
from tests.simulation import plants
from tests.simulation.faults import draw_odds
from tests.simulation.liveness import come_to_an_end
from tests.simulation.quiet_log import quiet_log
from tests.simulation.world import Plant, World

HOW = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
REPLICAS = st.integers(0, 1)
ANY = st.integers(0, 2**16)


class EachExecutionIsBookedOnceOrKnownByName(RuleBasedStateMachine):
    """Two replicas, their callers and operators, and all that befalls them; safety is looked at all the time.

    In which order things happen within a step, and which port call fails, follows from one drawn number.
    """

    plant: Plant | None = None

    def __init__(self) -> None:
        super().__init__()
        self.log = quiet_log()

    @initialize(seed=st.integers(0, 2**32), lanes=st.integers(1, 3), most=st.integers(1, 5))
    def begin(self, seed: int, lanes: int, most: int) -> None:
        random = Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self.world = World(random, plant=self.plant)
        self.world.watch.violations = self.log.__enter__()
        self.world.set_terms(lanes, most)
        self.world.__enter__()
        self.world.set_odds(draw_odds(random))

    @rule(portfolios=st.lists(st.sampled_from(["P-A", "P-B", "P-C"]), min_size=1, max_size=6), on=REPLICAS)
    def keep_and_send(self, portfolios: list[str], on: int) -> None:
        self.world.keep(portfolios)
        self.world.send(on)

    @rule(which=ANY)
    def resend(self, which: int) -> None:
        self.world.resend(which)

    @rule(which=ANY)
    def resolve(self, which: int) -> None:
        self.world.resolve(which)

    @rule(in_order=st.booleans(), gone_for=st.sampled_from([4.0, 16.0]))
    def abandon_a_run(self, *, in_order: bool, gone_for: float) -> None:
        self.world.keep(["P-A"] * 5)
        self.world.abandon_a_run(in_order=in_order, gone_for=gone_for)

    @rule(mend=st.booleans())
    def clear_stop(self, *, mend: bool) -> None:
        self.world.clear_stop(mend=mend)

    @rule(what=st.sampled_from(["foreign", "not booked", "refused"]))
    def spoil_the_next(self, what: str) -> None:
        if what == "foreign":
            self.world.collide()
        elif what == "not booked":
            self.world.do_not_book()
        else:
            self.world.refuse("quantity: must not be 0")

    @rule(which=REPLICAS, with_runs=st.booleans())
    def crash(self, which: int, *, with_runs: bool) -> None:
        self.world.crash(which, with_runs=with_runs)

    @rule(which=REPLICAS)
    def end(self, which: int) -> None:
        self.world.end(which)

    @rule(which=REPLICAS)
    def start(self, which: int) -> None:
        self.world.start(which)

    @rule(which=REPLICAS, seconds=st.sampled_from([5.0, 20.0, 60.0]))
    def pause(self, which: int, seconds: float) -> None:
        self.world.pause(which, seconds)

    @rule(seconds=st.sampled_from([0.05, 1.0, 15.0]))
    def load_a_record_in(self, seconds: float) -> None:
        self.world.books.seconds_per_record = seconds

    @rule(seed=ANY)
    def let_other_things_go_wrong(self, seed: int) -> None:
        self.world.set_odds(draw_odds(Random(seed)))  # noqa: S311 - to be repeated, not to be secret

    @rule(which=ANY)
    def lose_a_file(self, which: int) -> None:
        self.world.lose_a_file(which)

    @rule(seconds=st.sampled_from([-60, -5, 5, 20, 3600]))
    def step_the_clock(self, seconds: int) -> None:
        self.world.clock.step(timedelta(seconds=seconds))

    @rule(seconds=st.sampled_from([20.0, 60.0]))
    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    @invariant()
    def time_passes_and_nothing_unsafe_happens(self) -> None:
        self.world.wait(self.world.random.choice((0.02, 0.5, 3.0, 20.0)))

    def teardown(self) -> None:
        """When faults stop, everything comes to its end."""
        if not hasattr(self, "world"):
            return
        try:
            if not self.world.watch.violations:
                come_to_an_end(self.world)
        finally:
            self.world.__exit__()
            self.log.__exit__(None, None, None)


def test_delivery_is_safe_and_live_whatever_happens() -> None:
    run_state_machine_as_test(EachExecutionIsBookedOnceOrKnownByName, settings=HOW)


@pytest.mark.parametrize(
    "planted", [plants.no_fencing_check, plants.no_lane_locks], ids=lambda plant: plant.__name__
)
def test_the_machine_finds_a_planted_fault(planted: Callable[[World], None]) -> None:
    class Planted(EachExecutionIsBookedOnceOrKnownByName):
        plant = staticmethod(planted)

    how = settings(HOW, max_examples=400, phases=[Phase.generate])

    with pytest.raises(AssertionError, match=r"late write|side by side"):
        run_state_machine_as_test(Planted, settings=how)
