"""What commands print for people: tables, and texts of others on one line."""

from collections.abc import Sequence
from datetime import UTC, datetime


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table; none where there are no rows.

    >>> table(("ID", "STATUS"), [("1", "delivered"), ("12", "failed")])
    ['ID  STATUS', '1   delivered', '12  failed']
    """
    if not rows:
        return []
    shown = [titles, *rows]
    widths = [max(len(row[column]) for row in shown) for column in range(len(titles))]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in shown]


def one_line(text: str) -> str:
    r"""Return another program's words on one line, without what would steer a terminal.

    >>> one_line("refused:\n  \x1b[2Jno such security")
    'refused: [2Jno such security'
    """
    return "".join(one for one in " ".join(text.split()) if one.isprintable())


def instant(moment: datetime) -> str:
    """Return a moment to the second, in UTC.

    >>> instant(datetime(2026, 3, 2, 15, 0, 0, 7, tzinfo=UTC))
    '2026-03-02T15:00:00Z'
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def count(number: int, of: str, several: str = "") -> str:
    """Return how many there are.

    >>> count(1, "file"), count(2, "file"), count(0, "batch", "batches")
    ('1 file', '2 files', '0 batches')
    """
    return f"{number} {of if number == 1 else several or f'{of}s'}"
