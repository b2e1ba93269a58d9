"""A Job as the API showed it, in our words, and how the API fails to."""

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class JobEnd:
    """How a finished Job ended.

    Attributes:
        complete: Whether its process ended with exit code 0.
        reason: The API's word for it, such as ``BackoffLimitExceeded``.
    """

    complete: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenJob:
    """A Job at one moment.

    Attributes:
        name: Unique in its namespace while it is there.
        uid: Unique for ever.
        version: Of this moment, to watch from.
        labels: What we or others wrote on it.
        end: How it ended: only with the condition ``Complete`` or ``Failed``, when no process of it is left.
        was_ready: Whether its process was ever seen running.
        was_waiting: Whether it was ever seen without a running process before its end.
        orphaned: Whether it is being deleted without its pod, which runs on.
        gone: Whether it is deleted.
    """

    name: str
    uid: str
    version: str
    labels: Mapping[str, str]
    end: JobEnd | None = None
    was_ready: bool = False
    was_waiting: bool = False
    orphaned: bool = False
    gone: bool = False

    @property
    def over(self) -> bool:
        """Whether it will change no more."""
        return self.end is not None or self.gone

    def after(self, earlier: "SeenJob") -> "SeenJob":
        """Return this moment with what was seen before."""
        return replace(
            self,
            was_ready=self.was_ready or earlier.was_ready,
            was_waiting=self.was_waiting or earlier.was_waiting,
            orphaned=self.orphaned or earlier.orphaned,
        )


class UnansweredError(Exception):
    """The API gave no answer that tells anything; asking again may help.

    Attributes:
        sent: Whether what was asked for may have been done all the same.
        retry_after: Seconds that the API wants to be left alone for.
    """

    def __init__(self, message: str, *, sent: bool, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.sent = sent
        self.retry_after = retry_after


class RefusedError(Exception):
    """The API refused for sure: nothing was done. The message is its reason, a word, and its code."""


class NameTakenError(RefusedError):
    """There is a Job of that name already."""


class VersionExpiredError(Exception):
    """The API does not remember what happened since the version that was to be watched from."""
