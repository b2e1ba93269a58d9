"""What is logged has a name of few, and the operations handbook knows every one of them."""

import ast
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from globeco_allocation.adapters import log_events
from globeco_allocation.entrypoints import logs

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "globeco_allocation"
HANDBOOK = ROOT / "docs" / "operations" / "logs-and-traces.md"

LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
LOGGERS = {"_log", "log", "logger", "_logger", "logging"}
NO_EVENTS = {"FACTS"}
"""A constant beside the names that is no name."""


def names_of_events() -> dict[str, str]:
    """Return every event's name by its constant's."""
    return {
        name: value
        for module in (logs, log_events)
        for name, value in vars(module).items()
        if name.isupper() and not name.startswith("_") and isinstance(value, str) and name not in NO_EVENTS
    }


def log_calls() -> Generator[tuple[str, ast.Call]]:
    """Yield each call that logs, and where it stands."""
    for file in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            of = node.func.value
            if node.func.attr in LEVELS and isinstance(of, ast.Name) and of.id in LOGGERS:
                yield f"{file.relative_to(SOURCE)}:{node.lineno}", node


def test_whatever_is_logged_is_named_by_a_constant() -> None:
    calls = list(log_calls())
    literal = [where for where, call in calls if not _is_constant(call.args[0])]

    assert len(calls) > 50
    assert literal == []


def test_every_name_is_used_and_there_is_no_other() -> None:
    known = names_of_events()
    used = {
        call.args[0].attr for _, call in log_calls() if call.args and isinstance(call.args[0], ast.Attribute)
    }

    assert used - known.keys() == set()
    assert known.keys() - used == {"REQUEST"}, "the request log writes this one past the loggers"


def test_the_handbook_tells_of_every_event_and_of_no_other() -> None:
    names = [row.name for row in handbook()]

    assert sorted(names) == sorted(names_of_events().values())
    assert all(row.meaning or row.to_do for row in handbook())


def test_the_handbook_names_the_levels_and_the_fields_of_each_event() -> None:
    known = names_of_events()
    told = {row.name: row for row in handbook()}
    for where, call in log_calls():
        assert isinstance(call.func, ast.Attribute)
        assert isinstance(call.args[0], ast.Attribute), where
        row = told[known[call.args[0].attr]]
        assert ("error" if call.func.attr == "exception" else call.func.attr) in row.levels, where
        assert fields_of(call) <= row.fields, where


@dataclass(frozen=True)
class Row:
    """An event, as the handbook has it."""

    name: str
    levels: set[str]
    fields: set[str]
    meaning: str
    to_do: str


def handbook() -> list[Row]:
    """Return the rows of the handbook's table of events."""
    rows: list[Row] = []
    for line in HANDBOOK.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 5 and cells[0].startswith("`"):
            name, levels, fields, meaning, to_do = cells
            rows.append(
                Row(name.strip("`"), set(levels.split(", ")), set(fields.split(", ")), meaning, to_do)
            )
    return rows


def fields_of(call: ast.Call) -> set[str]:
    """Return the fields that a call gives its line by name."""
    fields: set[str] = set()
    for keyword in call.keywords:
        if keyword.arg == "extra" and isinstance(keyword.value, ast.Call):
            fields |= fields_of(keyword.value)
        elif keyword.arg == "exc_info":
            fields.add("exception")
        elif keyword.arg is not None:
            fields.add(keyword.arg)
    return fields | ({"exception"} if _with_traceback(call) else set())


def _with_traceback(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "exception"


def _is_constant(argument: ast.expr) -> bool:
    return isinstance(argument, ast.Attribute) and argument.attr.isupper()
