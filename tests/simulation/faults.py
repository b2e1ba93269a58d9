"""What goes wrong in a history: at a port call, or while a record is loaded."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from enum import Enum, auto
from random import Random


class CallFault(Enum):
    """What happens to one port call."""

    NONE = auto()
    CRASH_BEFORE = auto()
    """The process dies, and nothing has happened."""
    CRASH_AFTER = auto()
    """The process dies, and what it asked for has happened."""
    PAUSE_BEFORE = auto()
    """The process is stopped for longer than a lease, and then asks."""
    PAUSE_AFTER = auto()
    """The process is stopped for longer than a lease before it sees the answer."""
    REQUEST_LOST = auto()
    """The call fails, and nothing has happened."""
    ANSWER_LOST = auto()
    """The call fails, and what was asked for has happened."""


CallFaults = Callable[[str], CallFault]
"""Decides on each port call, given its name."""


@dataclass(frozen=True)
class Odds:
    """How likely what is, for each port call, run or record.

    Attributes:
        crash: The process dies.
        pause: The process is stopped for longer than a lease.
        unavailable: The port fails.
        refused_start: The CLI cannot be started.
        exit_1: The CLI ends with exit code 1 before anything is read.
        killed: The CLI is killed at some record.
        timed_out: The CLI hangs at some record, and is ended past its time limit.
        no_counts: What the CLI printed is lost, or garbage.
        no_error_file: The CLI could not write its error file.
        eats_input: The CLI deletes its input.
        vanishes: A row vanishes in the CLI.
        unreachable: The server refuses the connection for one record.
        cut_answer: An answer is cut off, whether the record was booked or not.
        not_stored: The server's database is away for one record.
        down: The server goes down, or comes back, with this record.
    """

    crash: float = 0.0
    pause: float = 0.0
    unavailable: float = 0.0
    refused_start: float = 0.0
    exit_1: float = 0.0
    killed: float = 0.0
    timed_out: float = 0.0
    no_counts: float = 0.0
    no_error_file: float = 0.0
    eats_input: float = 0.0
    vanishes: float = 0.0
    unreachable: float = 0.0
    cut_answer: float = 0.0
    not_stored: float = 0.0
    down: float = 0.0


CALM = Odds()

_MOST = Odds(
    crash=0.02,
    pause=0.02,
    unavailable=0.06,
    refused_start=0.3,
    exit_1=0.3,
    killed=0.5,
    timed_out=0.3,
    no_counts=0.4,
    no_error_file=0.3,
    eats_input=0.3,
    vanishes=0.1,
    unreachable=0.2,
    cut_answer=0.3,
    not_stored=0.2,
    down=0.1,
)


def draw_odds(random: Random) -> Odds:
    """Draw a world: some things never go wrong in it, some seldom, some often."""
    levels = {one.name: random.choice((0.0, 0.0, 0.2, 1.0)) for one in fields(Odds)}
    return replace(CALM, **{name: level * getattr(_MOST, name) for name, level in levels.items()})


def by_odds(odds: Odds, random: Random) -> CallFaults:
    """Let port calls fail by chance."""
    limits = (
        (odds.crash / 2, CallFault.CRASH_BEFORE),
        (odds.crash, CallFault.CRASH_AFTER),
        (odds.crash + odds.pause / 2, CallFault.PAUSE_BEFORE),
        (odds.crash + odds.pause, CallFault.PAUSE_AFTER),
        (odds.crash + odds.pause + odds.unavailable / 2, CallFault.REQUEST_LOST),
        (odds.crash + odds.pause + odds.unavailable, CallFault.ANSWER_LOST),
    )

    def decide(_: str) -> CallFault:
        drawn = random.random()
        return next((fault for limit, fault in limits if drawn < limit), CallFault.NONE)

    return decide


def no_fault(_: str) -> CallFault:
    """Let every port call succeed."""
    return CallFault.NONE


class OneFault:
    """Lets one port call fail, by its number, and no other.

    Attributes:
        calls: The names of the calls so far.
    """

    def __init__(self, number: int = -1, fault: CallFault = CallFault.NONE) -> None:
        self._number = number
        self._fault = fault
        self.calls: list[str] = []

    def __call__(self, name: str) -> CallFault:
        self.calls.append(name)
        return self._fault if len(self.calls) - 1 == self._number else CallFault.NONE
