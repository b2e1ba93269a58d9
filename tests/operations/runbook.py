"""A runbook whose commands are run as they are printed.

A fenced block of ``sh`` or ``sql`` has a name, and the exit code that it is said to end with, in a comment
before it: ``<!-- run: look -->``, ``<!-- run: send, exit 5 -->``. The lines of a block of ``text`` behind it
have to be in its output, in their order; ``…`` in them stands for anything.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "operations"

_SECONDS = 60
_BLOCK = re.compile(
    r"(?:<!-- run: (?P<name>[a-z-]+)(?:, exit (?P<code>\d+))? -->\n)?"
    r"```(?P<language>sh|sql)\n(?P<text>.*?)```\n(?:\n?```text\n(?P<output>.*?)```\n)?",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """One block of commands.

    Attributes:
        language: ``sh`` or ``sql``.
        text: What is printed.
        code: How it ends.
        output: Lines that it prints.
    """

    language: str
    text: str
    code: int
    output: tuple[str, ...]


def blocks_of(page: Path) -> dict[str, Block]:
    """Return the blocks of a runbook by their names."""
    found: dict[str, Block] = {}
    for match in _BLOCK.finditer(page.read_text("utf-8")):
        name = match["name"]
        assert name, f"{page.name}: a block without a name: {match['text']}"
        assert name not in found, f"{page.name}: two blocks are called {name}"
        output = tuple(line for line in (match["output"] or "").splitlines() if line.strip())
        found[name] = Block(match["language"], match["text"], int(match["code"] or 0), output)
    return found


@dataclass
class Runbook:
    """One runbook, run block by block.

    Attributes:
        page: Where it is printed.
        path: The folder of commands that stand in for others, such as ``kubectl``.
        sql: Runs SQL as the database's administrator.
        variables: What the reader fills in.
    """

    page: str
    path: Path
    sql: Callable[[str], None]
    variables: dict[str, str] = field(default_factory=dict[str, str])
    _run: set[str] = field(default_factory=set[str])

    def run(self, name: str, **variables: str) -> str:
        """Run a block, make sure that it ends as the runbook says, and return what it printed."""
        block = blocks_of(FOLDER / self.page)[name]
        self._run.add(name)
        self.variables |= variables
        if block.language == "sql":
            self.sql(block.text)
            return ""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text],
            cwd=ROOT,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        said = f"{self.page}, {name}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == block.code, said
        rest = f"{done.stdout}\n{done.stderr}"
        for line in block.output:
            pattern = r"\s+".join(re.escape(word).replace("…", ".*?") for word in line.split())
            found = re.search(pattern, rest)
            assert found, f"{said}\nIt lacks, or has earlier: {line}"
            rest = rest[found.end() :]
        return done.stdout

    def is_run_through(self) -> None:
        """Make sure that no block was left out."""
        assert set(blocks_of(FOLDER / self.page)) - self._run == set()

    def _environment(self) -> Mapping[str, str]:
        path = os.pathsep.join([str(self.path), str(Path(sys.executable).parent), os.environ["PATH"]])
        return {"PATH": path, "HOME": str(self.path), **self.variables}
