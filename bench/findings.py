"""What was found out: each figure beside its limit and its goal."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One goal, and how it was met.

    Attributes:
        work: What was measured, such as ``POST of 100``.
        figure: Ours, in words and with its unit.
        limit: What it stands beside, the same way.
        ratio: Ours to the limit's; or the bare figure, where there is no limit.
        goal: What the ratio is to be.
        at_least: Whether more is better.
        about: How it was measured, in a sentence.
    """

    work: str
    figure: str
    limit: str
    ratio: float
    goal: float
    at_least: bool
    about: str

    @property
    def met(self) -> bool:
        """Whether the goal was met."""
        return self.ratio >= self.goal if self.at_least else self.ratio <= self.goal

    @property
    def reach(self) -> float:
        """How well: 1 is the goal itself, more is better."""
        if not self.goal:  # nothing is better than none
            return float(self.met)
        return self.ratio / self.goal if self.at_least else self.goal / max(self.ratio, 1e-9)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the ratios pair by pair: a machine that drifts slows both of a pair."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))
