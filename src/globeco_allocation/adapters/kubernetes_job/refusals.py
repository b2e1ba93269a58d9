"""What the Kubernetes API refuses, told once in the log, and once more when it is over."""

import logging

from globeco_allocation.adapters import log_events
from globeco_allocation.adapters.log_events import facts

_log = logging.getLogger(__name__)


class Refusals:
    """Tells of a refusal when it begins: an expired token would be told of with every call, each second."""

    def __init__(self) -> None:
        self._told: tuple[int, str] | None = None

    def refused(self, code: int, reason: str, message: str) -> None:
        """Note an answer that refuses.

        Args:
            code: HTTP's.
            reason: The API's word for it.
            message: For the log alone: it may name users and addresses.
        """
        if self._told == (code, reason):
            return
        self._told = code, reason
        _log.warning(log_events.KUBERNETES_REFUSES, extra=facts(status=code, reason=reason, words=message))

    def answered(self) -> None:
        """Note an answer that does not."""
        if self._told is None:
            return
        (code, reason), self._told = self._told, None
        _log.info(log_events.KUBERNETES_ANSWERS, extra=facts(status=code, reason=reason))
