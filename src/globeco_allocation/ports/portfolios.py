"""Which portfolio an execution belongs to."""

from typing import Protocol


class Portfolios(Protocol):
    """The Trade Service's knowledge of portfolios; bounded in time and in lookups under way."""

    async def portfolio_of(self, execution_service_id: int) -> str:
        """Return the portfolio id of an execution: 1 to 24 characters, without padding.

        Raises:
            LookupFailedError: no portfolio could be named; ``passing`` tells whether asking later may help.
        """
        ...
