"""What the README shows is true: its Python runs, its links lead somewhere."""

import doctest
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readmes_python_gives_what_it_shows() -> None:
    examples = doctest.DocTestParser().get_doctest(README, {}, "README.md", "README.md", 0)

    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(examples)

    assert results.attempted > 10
    assert results.failed == 0


def test_every_link_and_every_folder_named_in_the_readme_exists() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    folders = re.findall(r"^\| `([^`]+/)`", README, re.MULTILINE)

    assert len(links) >= 3
    assert len(folders) >= 6
    assert [name for name in links + folders if not (ROOT / name).exists()] == []
