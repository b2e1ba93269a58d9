"""A whole history from one number: what is asked for, what goes wrong, and in which order all of it happens."""

from collections import deque
from dataclasses import dataclass
from random import Random

from tests.simulation.faults import draw_odds
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
        for _ in range(random.randrange(4, 25)):
            _take_a_step(world, random)
            world.wait(random.choice((0.01, 0.1, 1.0, 5.0, 20.0)))
        world.check_liveness()
        world.check_safety()
    return Told(world.loop.seconds, len(world.books.runs))


def _take_a_step(world: World, random: Random) -> None:
    number = random.randrange(1 << 16)
    replica = number % world.size
    match random.choice(_STEPS):
        case "keep":
            world.keep([random.choice(_PORTFOLIOS) for _ in range(random.randrange(1, 7))])
        case "send":
            world.keep([random.choice(_PORTFOLIOS) for _ in range(random.randrange(1, 5))])
            world.send(number)
        case "send from a command":
            world.send_from_a_command()
        case "resend":
            world.resend(number)
        case "resolve":
            world.resolve(number)
        case "clear stop":
            world.clear_stop(mend=random.random() < 0.5)
        case "bad record":
            _spoil_the_next(world, random)
        case "crash":
            world.crash(replica, with_runs=random.random() < 0.4)
        case "crash all":
            for each in range(world.size):
                world.crash(each, with_runs=random.random() < 0.2)
        case "end":
            world.end(replica)
        case "abandon a run":
            world.keep([_PORTFOLIOS[0]] * random.randrange(3, 9))
            world.abandon_a_run(in_order=random.random() < 0.5, gone_for=random.choice((4.0, 16.0)))
        case "start":
            for each in range(world.size):
                world.start(each)
        case "pause":
            world.pause(replica, random.uniform(1.0, 60.0))
        case "lose a file":
            world.lose_a_file(number)
        case "other terms":
            world.set_terms(random.choice(_LANES), random.choice((1, 2, 3, 5)))
        case "tempo":
            world.books.seconds_per_record = random.choice(_TEMPOS)
        case _:
            world.set_odds(draw_odds(random))


_STEPS = (
    *("send",) * 8,
    *("keep",) * 2,
    *("start",) * 4,
    *("tempo",) * 2,
    *("crash",) * 2,
    *("resolve",) * 2,
    *("pause",) * 2,
    *("other odds",) * 2,
    "crash all",
    "abandon a run",
    "end",
    "send from a command",
    "resend",
    "clear stop",
    "bad record",
    "lose a file",
    "other terms",
)


def _spoil_the_next(world: World, random: Random) -> None:
    match random.randrange(3):
        case 0:
            world.collide()
        case 1:
            world.do_not_book()
        case _:
            world.refuse(_FAULT_OF_THE_DATA)
