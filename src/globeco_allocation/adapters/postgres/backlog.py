"""What is not at its end, in PostgreSQL."""

from globeco_allocation.adapters.postgres.on_pool import OnPool
from globeco_allocation.domain.backlog import MOST_COUNTED, Outstanding, Waiting
from globeco_allocation.domain.delivery import DeliveryStatus

# The function reads everything at one moment, and by index alone. The clock is asked once.
_LOOK = """
SELECT (SELECT clock_timestamp()) AS seen, w.kind, w.count, w.oldest, w.records
  FROM outstanding_work($1) AS w
"""

_NOTHING = Waiting()


class PostgresBacklog(OnPool):
    """Looks at what is outstanding; see `globeco_allocation.ports.backlog.Backlog`."""

    async def look(self) -> Outstanding:
        """Count what is outstanding, in one round trip; see the port."""
        rows = await self._pool.fetch(_LOOK, MOST_COUNTED)
        kinds = {row["kind"]: Waiting(row["count"], row["oldest"], row["records"] or 0) for row in rows}
        return Outstanding(
            seen=rows[0]["seen"],
            executions=kinds["executions"],
            pending=kinds["pending"],
            in_error=kinds["error"],
            batches=kinds["batches"],
            deliveries={
                status: kinds.get(status, _NOTHING)
                for status in DeliveryStatus
                if status not in {DeliveryStatus.DELIVERED, DeliveryStatus.RESOLVED}
            },
            stopped=kinds["stop"].oldest,
        )
