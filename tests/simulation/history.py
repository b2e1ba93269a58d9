"""A whole history from one number: what is asked for, what goes wrong, and in which order all happens."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from tests.simulation.faults import draw_odds
from tests.simulation.liveness import come_to_an_end
from tests.simulation.quiet_log import quiet_log
from tests.simulation.world import Plant, World

_PORTFOLIOS = ("P-A", "P-B", "P-C", "P-D")
_LANES = (1, 1, 2, 3)
_TEMPOS = (0.01, 0.3, 2.0, 15.0)
_FAULT_OF_THE_DATA = "quantity: must not be 0"


@dataclass(frozen=True)
class Told:
    """How a history went.

    Attributes:
        seconds: Its length, in the world's own time.
        runs: Runs of the accounting CLI.
    """

    seconds: float
    runs: int


def live_through(seed: int, plant: Plant | None = None, history: "deque[str] | None" = None) -> Told:
    """Let a history happen; the same seed is the same history, everywhere.

    Args:
        seed: Determines it.
        plant: Plants a fault.
        history: Where what happens is written down, if anywhere.

    Raises:
        AssertionError: it went wrong.
    """
    random = Random(seed)  # noqa: S311 - to be repeated, not to be secret
    world = World(random, replicas=random.choice((2, 2, 2, 3)), plant=plant)
    world.history = history
    world.removes_delivered = random.random() < 0.2
    world.set_terms(random.choice(_LANES), random.choice((1, 2, 3, 5)))
    with quiet_log() as world.watch.violations, world:
        world.set_odds(draw_odds(random))
        world.wait(0.1)
        for step in random.choices(list(_STEPS), list(_STEPS.values()), k=random.randrange(4, 25)):
            step(world, random)
            world.wait(random.choice((0.01, 0.1, 1.0, 5.0, 20.0)))
        come_to_an_end(world)
    return Told(world.loop.seconds, len(world.books.runs))


def _keep(world: World, random: Random) -> None:
    world.keep([random.choice(_PORTFOLIOS) for _ in range(random.randrange(1, 6))])


def _keep_and_send(world: World, random: Random) -> None:
    _keep(world, random)
    world.send(random.randrange(world.size))


def _crash_all(world: World, random: Random) -> None:
    for each in range(world.size):
        world.crash(each, with_runs=random.random() < 0.2)


def _start_all(world: World, _: Random) -> None:
    for each in range(world.size):
        world.start(each)


def _abandon_a_run(world: World, random: Random) -> None:
    world.keep([_PORTFOLIOS[0]] * random.randrange(3, 9))
    world.abandon_a_run(in_order=random.random() < 0.5, gone_for=random.choice((4.0, 16.0)))


def _change_the_tempo(world: World, random: Random) -> None:
    world.books.seconds_per_record = random.choice(_TEMPOS)


def _spoil_the_next(world: World, random: Random) -> None:
    match random.randrange(3):
        case 0:
            world.collide()
        case 1:
            world.do_not_book()
        case _:
            world.refuse(_FAULT_OF_THE_DATA)


def _step_the_clock(world: World, random: Random) -> None:
    world.clock.step(timedelta(seconds=random.choice((-60, -5, 5, 20, 3600))))


_STEPS: dict[Callable[[World, Random], None], int] = {
    _keep_and_send: 8,
    _keep: 2,
    _start_all: 4,
    _change_the_tempo: 2,
    _crash_all: 1,
    _abandon_a_run: 1,
    _spoil_the_next: 1,
    _step_the_clock: 1,
    lambda world, random: world.crash(random.randrange(world.size), with_runs=random.random() < 0.4): 2,
    lambda world, random: world.resolve(random.randrange(1 << 16)): 2,
    lambda world, random: world.pause(random.randrange(world.size), random.uniform(1.0, 60.0)): 2,
    lambda world, random: world.set_odds(draw_odds(random)): 2,
    lambda world, random: world.end(random.randrange(world.size)): 1,
    lambda world, _: world.send_from_a_command(): 1,
    lambda world, random: world.resend(random.randrange(1 << 16)): 1,
    lambda world, random: world.clear_stop(mend=random.random() < 0.5): 1,
    lambda world, random: world.lose_a_file(random.randrange(1 << 16)): 1,
    lambda world, random: world.set_terms(random.choice(_LANES), random.choice((1, 2, 3, 5))): 1,
}
"""What may happen next, and how often it does."""
