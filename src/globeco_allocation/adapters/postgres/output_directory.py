"""Which output directory the replicas share, in PostgreSQL."""

from globeco_allocation.adapters.postgres.on_pool import OnPool
from globeco_allocation.adapters.storable_text import storable
from globeco_allocation.ports.output_directory import LAPSES_AFTER, SharedDirectory

# $1 what the replica sees, $2 its name, $3 when one lapses. Of those who confirm at once each sees, with
# the row locked, what the one before it made of it.
_CONFIRM = """
INSERT INTO output_directory AS shared (identity, confirmed_by, confirmed_timestamp)
VALUES ($1, $2, clock_timestamp())
ON CONFLICT (is_only) DO UPDATE
   SET (identity, confirmed_by, confirmed_timestamp) = (
       SELECT CASE WHEN is_confirmed THEN excluded.identity ELSE shared.identity END,
              CASE WHEN is_confirmed THEN excluded.confirmed_by ELSE shared.confirmed_by END,
              CASE WHEN is_confirmed THEN excluded.confirmed_timestamp ELSE shared.confirmed_timestamp END
         FROM (
              SELECT shared.identity = excluded.identity
                     OR shared.confirmed_timestamp <= excluded.confirmed_timestamp - $3::interval
              ) AS judged (is_confirmed)
       )
RETURNING identity, confirmed_by, confirmed_timestamp
"""


class PostgresOutputDirectory(OnPool):
    """Keeps it in ``output_directory``; see `globeco_allocation.ports.output_directory.DirectoryIdentity`."""

    async def confirm(self, identity: str, replica: str) -> SharedDirectory:
        """Say which directory a replica sees, and learn which one is shared; see the port."""
        (row,) = await self._pool.fetch(_CONFIRM, storable(identity), storable(replica), LAPSES_AFTER)
        return SharedDirectory(row["identity"], row["confirmed_by"], row["confirmed_timestamp"])
