"""What became of each record of a file, after all its attempts (design, "Verdicts")."""

from globeco_allocation.domain.judging.earlier import EarlierAttempts
from globeco_allocation.domain.judging.judge import Judge, Judgement, Next

__all__ = ["EarlierAttempts", "Judge", "Judgement", "Next"]
