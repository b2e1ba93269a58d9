"""The query whose COPY writes executions as rows of a transaction file.

They are to the byte what the domain's `row_formatter` makes of them, which is the one truth. COPY quotes a
field where RFC 4180 needs it. Each expression runs a million times for a large batch: they were chosen by
their price.
"""

from datetime import timedelta

from globeco_allocation.domain.batch import Batch, FileQuantity
from globeco_allocation.domain.transaction_file import day_digits

_KNOWN_DAYS = 400

# A cast of char(n) to text cuts its padding off. So does the one to name in half the time, but it holds 63
# bytes only.
_UNPADDED = "CASE WHEN octet_length({0}) < 64 THEN {0}::name::text ELSE {0}::text END"

# $1 and $2 the window, $3 the first id, $4 the last, $5 a day and $6 how it and those after it are written.
# Most trade dates are looked up there, for to_char takes far longer. Infinity is what the driver reads it as;
# what it cannot read at all is left to Portfolio Accounting to refuse.
_SELECT_ROWS = """
SELECT coalesce({portfolio_id}, ''), {security_id}, 'AC' || id, trade_type, {quantity}, average_price,
       CASE WHEN trade_date >= $5::date AND trade_date < $5::date + cardinality($6::name[])
            THEN ($6::name[])[trade_date - $5::date + 1]::text
            WHEN trade_date >= '0001-01-01' AND trade_date <= '9999-12-31'
            THEN to_char(trade_date::timestamp, 'YYYYMMDD')
            WHEN trade_date = 'infinity' THEN '99991231'
            WHEN trade_date = '-infinity' THEN '00010101'
            ELSE trade_date::text
       END
  FROM execution
 WHERE ready_to_send_timestamp >= $1 AND ready_to_send_timestamp < $2
   AND id >= $3 AND id <= $4
 ORDER BY id
"""


def rows_query(batch: Batch, first_id: int, last_id: int) -> tuple[str, *tuple[object, ...]]:
    """Return the query for the batch's rows from one id to another, and its arguments."""
    sql = _SELECT_ROWS.format(
        portfolio_id=_UNPADDED.format("portfolio_id"),
        security_id=_UNPADDED.format("security_id"),
        quantity="quantity_filled" if batch.terms.file_quantity is FileQuantity.FILLED else "quantity",
    )
    window = batch.window
    known = min(_KNOWN_DAYS, window.start.toordinal())
    first_day = window.start.date() - timedelta(days=known - 1)
    days = [day_digits(first_day + timedelta(days=day)) for day in range(known)]
    return sql, window.previous_start, window.start, first_id, last_id, first_day, days
