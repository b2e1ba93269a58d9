"""The domain needs Python and nothing else (design, "The house")."""

import json
import subprocess
import sys
from pathlib import Path
from typing import TypedDict

import pytest

import globeco_allocation

PACKAGE = Path(globeco_allocation.__file__).parent
CORE = [
    "globeco_allocation.domain",
    "globeco_allocation.domain.use_cases",
    *(f"globeco_allocation.ports.{path.stem}" for path in sorted((PACKAGE / "ports").glob("[a-z]*.py"))),
]
HEAVY = {
    "asyncio",
    "concurrent",
    "email",
    "http",
    "logging",
    "multiprocessing",
    "socket",
    "ssl",
    "subprocess",
    "urllib",
}
IMPORT_AND_TELL = """
import importlib, json, sys
events = []
sys.path.insert(0, sys.argv[1])
sys.addaudithook(lambda name, args: events.append([name, str(args[0]) if args else ""]))
importlib.import_module(sys.argv[2])
seen = events[:]
print(json.dumps({"modules": sorted(sys.modules), "events": seen}))
"""


class Told(TypedDict):
    modules: list[str]
    events: list[tuple[str, str]]


def import_alone(module: str, directory: Path) -> Told:
    """Import *module* in a new interpreter that sees no installed package but ours."""
    link = directory / PACKAGE.name
    if not link.exists():
        link.symlink_to(PACKAGE, target_is_directory=True)
    command = [sys.executable, "-S", "-I", "-B", "-W", "error", "-c", IMPORT_AND_TELL, str(directory), module]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("module", CORE)
def test_domain_ports_and_use_cases_import_with_nothing_installed(module: str, tmp_path: Path) -> None:
    told = import_alone(module, tmp_path)

    top_level = {name.partition(".")[0] for name in told["modules"]}
    # The library's own list leaves out the module that is named after the platform.
    library = sys.stdlib_module_names | {name for name in top_level if name.startswith("_sysconfigdata_")}
    assert module in told["modules"]
    assert top_level - library == {"__main__", "globeco_allocation"}


def test_the_domain_itself_loads_no_heavy_part_of_the_library(tmp_path: Path) -> None:
    told = import_alone("globeco_allocation.domain", tmp_path)

    assert not HEAVY & set(told["modules"])
    assert not [name for name in told["modules"] if name.startswith("globeco_allocation.ports")]


@pytest.mark.parametrize("module", CORE)
def test_an_import_opens_nothing_but_modules(module: str, tmp_path: Path) -> None:
    told = import_alone(module, tmp_path)

    opened = {path for name, path in told["events"] if name == "open"}
    others = {path for path in opened if not path.endswith((".py", ".pyc", ".so"))}
    outside = {name for name, _ in told["events"] if name.startswith(("socket.", "subprocess.", "os.system"))}
    assert opened
    assert not others
    assert not outside
