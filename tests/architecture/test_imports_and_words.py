"""Imports point inwards, every module says what it is for, and every example in the domain holds."""

import ast
import doctest
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import globeco_allocation

PACKAGE = Path(globeco_allocation.__file__).parent


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules_below(*folders: str) -> list[str]:
    return sorted(module_of(path) for folder in folders for path in (PACKAGE / folder).rglob("*.py"))


def source_of(module: str) -> ast.Module:
    path = PACKAGE.parent.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports_of(module: str) -> Iterator[str]:
    """Every module named by an import statement, also inside functions."""
    for node in ast.walk(source_of(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports by a relative name"
            yield node.module or ""


def is_below(name: str, *parents: str) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


EVERYTHING = modules_below(".")
DOMAIN = modules_below("domain")
PORTS = modules_below("ports")
USE_CASES = modules_below("domain/use_cases")


def test_the_folders_of_the_design_are_there() -> None:
    assert {"globeco_allocation.domain.money", "globeco_allocation.domain.use_cases.send"} <= set(DOMAIN)
    assert {"globeco_allocation.ports.executions", "globeco_allocation.ports.batches"} <= set(PORTS)


@pytest.mark.parametrize("module", DOMAIN + PORTS)
def test_domain_and_ports_import_the_standard_library_and_themselves(module: str) -> None:
    strangers = [
        name
        for name in imports_of(module)
        if name.partition(".")[0] not in sys.stdlib_module_names
        and not is_below(name, "globeco_allocation.domain", "globeco_allocation.ports")
    ]

    assert strangers == []


@pytest.mark.parametrize("module", sorted(set(DOMAIN) - set(USE_CASES)))
def test_the_rules_know_neither_ports_nor_use_cases(module: str) -> None:
    known = [
        name
        for name in imports_of(module)
        if is_below(name, "globeco_allocation.ports", "globeco_allocation.domain.use_cases")
    ]

    assert known == []


@pytest.mark.parametrize("module", PORTS)
def test_ports_know_no_use_case(module: str) -> None:
    assert [
        name for name in imports_of(module) if is_below(name, "globeco_allocation.domain.use_cases")
    ] == []


@pytest.mark.parametrize("module", EVERYTHING)
def test_every_module_says_what_it_is_for(module: str) -> None:
    assert ast.get_docstring(source_of(module))


@pytest.mark.parametrize("module", DOMAIN + PORTS)
def test_every_example_in_the_domain_and_the_ports_holds(module: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(module))

    assert failed == 0


@pytest.mark.parametrize(
    "module",
    [
        "globeco_allocation.domain",
        "globeco_allocation.domain.execution",
        "globeco_allocation.domain.instant",
        "globeco_allocation.domain.money",
        "globeco_allocation.domain.source_id",
        "globeco_allocation.domain.trade_date",
        "globeco_allocation.domain.window",
    ],
)
def test_the_rules_that_a_library_user_meets_first_show_examples(module: str) -> None:
    found = doctest.DocTestFinder().find(importlib.import_module(module))

    assert any(test.examples for test in found)


def test_everything_that_the_domain_offers_is_there_once() -> None:
    domain = importlib.import_module("globeco_allocation.domain")

    assert [name for name in domain.__all__ if not hasattr(domain, name)] == []
    assert len(set(domain.__all__)) == len(domain.__all__)
