"""The pages of the runbooks lead somewhere, and each is in the index."""

import re
from pathlib import Path

import pytest
from tests.operations.runbook import FOLDER

PAGES = sorted(FOLDER.glob("*.md"))


def test_every_page_is_in_the_index() -> None:
    index = (FOLDER / "README.md").read_text("utf-8")

    assert [page.name for page in PAGES if page.name != "README.md" and f"]({page.name})" not in index] == []


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_link_leads_somewhere(page: Path) -> None:
    links = set(re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text("utf-8")))

    assert [one for one in sorted(links) if not (FOLDER / one).exists()] == []
