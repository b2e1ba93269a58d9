"""The limit of an export: a plain COPY of the same rows, written to a file on the same disk and flushed.

``python -m bench.bare_copy FILE [ALL]``: ALL is written first, with all columns, as a manifest has them.
"""

import asyncio
import os
import sys
import time

import asyncpg
import uvloop

from bench.database import address_from

_ROWS = """
SELECT portfolio_id, security_id, 'AC' || id, trade_type, quantity, average_price,
       to_char(trade_date, 'YYYYMMDD')
  FROM execution
 ORDER BY id
"""


_ALL = "SELECT * FROM execution ORDER BY id"


async def _copy(path: str, path_of_all: str | None = None) -> float:
    database = address_from(os.environ)
    connection = await asyncpg.connect(
        host=database.host,
        port=database.port,
        database=database.name,
        user=database.user,
        password=database.password,
    )
    try:
        start = time.perf_counter()
        if path_of_all is not None:
            await connection.copy_from_query(_ALL, output=path_of_all, format="csv")
            await asyncio.to_thread(_flush, path_of_all)
        await connection.copy_from_query(_ROWS, output=path, format="csv")
        await asyncio.to_thread(_flush, path)
        return time.perf_counter() - start
    finally:
        await connection.close()


def _flush(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    print(uvloop.run(_copy(*sys.argv[1:])))
