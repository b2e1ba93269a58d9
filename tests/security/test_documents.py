"""What docs/security.md claims, it shows."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "security.md").read_text("utf-8")


def test_every_test_and_file_that_is_named_exists() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", DOCUMENT)

    assert len([one for one in links if one.startswith("../tests/")]) > 20
    assert [one for one in links if not (ROOT / "docs" / one).exists()] == []


def test_every_attack_from_the_network_names_what_shows_that_it_is_stopped() -> None:
    table = DOCUMENT.partition("### With network reach")[2].partition("**Not stopped.**")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]

    assert len(rows) >= 9
    assert [row for row in rows if "](../tests/" not in row] == []


def test_where_to_report_is_said_at_the_top_and_here() -> None:
    assert "Report a vulnerability" in (ROOT / "SECURITY.md").read_text("utf-8")
    assert "(../SECURITY.md)" in DOCUMENT
