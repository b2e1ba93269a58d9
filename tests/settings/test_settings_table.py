"""The README's table of settings is made from their declarations."""

from pathlib import Path

from globeco_allocation.entrypoints.settings import declared
from globeco_allocation.entrypoints.settings.report import TABLE_BEGINS, TABLE_ENDS, settings_table

README = Path(__file__).parents[2] / "README.md"


def test_the_table_has_a_row_for_every_setting() -> None:
    assert len(settings_table().splitlines()) == len(declared()) + 2


def test_the_readme_s_table_is_up_to_date() -> None:
    _, begins, rest = README.read_text("utf-8").partition(TABLE_BEGINS)
    table, ends, _ = rest.partition(TABLE_ENDS)

    assert begins
    assert ends
    assert table.strip() == settings_table(), "put the output of `globeco-allocation config table` there"
