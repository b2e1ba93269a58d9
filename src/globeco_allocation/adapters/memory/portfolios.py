"""Portfolios in memory: a dict, with failures to order."""

from collections.abc import Mapping

from globeco_allocation.domain.errors import LookupFailedError
from globeco_allocation.domain.execution import check_portfolio_id


class MemoryPortfolios:
    """The port ``Portfolios`` over a dict; nothing is retried, for nothing changes while it is asked.

    Attributes:
        portfolios: Execution-service id to portfolio id, as the Trade Service would name it; None is an
            execution without a portfolio. May be changed at any time.
        asked: The execution-service ids of all lookups, in their order.
    """

    def __init__(self, portfolios: Mapping[int, str | None] | None = None) -> None:
        self.portfolios = dict(portfolios or {})
        self.asked: list[int] = []
        self._failures: dict[int | None, tuple[str, bool]] = {}

    def fail(
        self, execution_service_id: int | None = None, *, message: str = "out of order", passing: bool = True
    ) -> None:
        """Let every lookup of an id fail from now on, or every lookup at all."""
        self._failures[execution_service_id] = (message, passing)

    def recover(self) -> None:
        """Let no lookup fail any more that was told to."""
        self._failures.clear()

    async def portfolio_of(self, execution_service_id: int) -> str:
        """Return the portfolio id of an execution: 1 to 24 characters, without padding.

        Raises:
            LookupFailedError: told to; not known (passing); or its portfolio id cannot be kept (final).
        """
        self.asked.append(execution_service_id)
        for key in (execution_service_id, None):
            if key in self._failures:
                message, passing = self._failures[key]
                raise LookupFailedError(message, passing=passing)
        named = f"execution service id {execution_service_id}"
        if execution_service_id not in self.portfolios:
            raise LookupFailedError(f"{named} is not known yet: try again later", passing=True)
        try:
            return check_portfolio_id(self.portfolios[execution_service_id] or "")
        except ValueError as error:
            raise LookupFailedError(f"the portfolio id for {named} {error}", passing=False) from error
