"""What can go wrong between a caller and the API, when a test wants it to."""

from collections import defaultdict, deque
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PlainNotFound:
    """404 in plain text, as a path gets it that the restarting server does not serve yet. Nothing is done."""


@dataclass(frozen=True)
class TooManyRequests:
    """429 with Retry-After, as a watch gets it while the server's cache fills. Nothing is done."""

    retry_after: int = 1


@dataclass(frozen=True)
class ServerFailed:
    """Another status of 5xx, as JSON or, from a proxy in between, as HTML. Nothing is done."""

    code: int = 503
    html: bool = False


@dataclass(frozen=True)
class CutBefore:
    """The connection is cut when the request has come. Nothing is done."""


@dataclass(frozen=True)
class LoseAnswer:
    """The request is carried out, and the connection cut in place of an answer."""


@dataclass(frozen=True)
class Hang:
    """No answer comes, and nothing is done, until the caller leaves."""


@dataclass(frozen=True)
class HangAfter:
    """The request is carried out, but no answer comes until the caller leaves."""


@dataclass(frozen=True)
class Delay:
    """The request waits; nothing is done if the caller leaves meanwhile."""

    seconds: float


@dataclass(frozen=True)
class Late:
    """The request waits, and is carried out then, even if the caller left long ago."""

    seconds: float


Fault = (
    PlainNotFound | TooManyRequests | ServerFailed | CutBefore | LoseAnswer | Hang | HangAfter | Delay | Late
)


@dataclass
class Faults:
    """The faults to come, by the verb they strike: create, get, list, watch or delete."""

    _coming: dict[str, deque[Fault | None]] = field(default_factory=lambda: defaultdict(deque))
    _standing: dict[str, Fault] = field(default_factory=dict[str, Fault])

    def next(self, verb: str, fault: Fault, *, times: int = 1, skip: int = 0) -> None:
        """Strike the next *times* requests of this verb, after letting *skip* of them pass."""
        self._coming[verb].extend([None] * skip + [fault] * times)

    def always(self, verb: str, fault: Fault) -> None:
        """Strike each request of this verb until `clear`."""
        self._standing[verb] = fault

    def clear(self) -> None:
        """Let everything pass from now on."""
        self._coming.clear()
        self._standing.clear()

    def take(self, verb: str) -> Fault | None:
        """The fault for a request that has come."""
        if self._coming[verb]:
            return self._coming[verb].popleft()
        return self._standing.get(verb)
