"""``docs/performance.md``: every figure beside its limit, as a table and as a plot."""

import importlib
import os
import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from bench.findings import Finding
from bench.place import Scale, cores

PLOT_NAME = "performance.png"

_HEAD = """\
# How fast it is

<!-- Written by `make bench`; do not edit. -->

Each figure stands beside the bare limit of its own path, measured in the same run on the same machine: the
two take turns ({rounds} rounds of {seconds} s each), and the ratio is the median of the ratios pair by pair.
Everything runs on the same {cores} cores: the service with logs and metrics on, PostgreSQL {postgres}, the
Trade Service's stand-in and the load generator. Absolute figures are this machine's; ratios are what counts.

Measured on {day}: {machine}, Python {python}, {cores} cores.

![Each goal as a bar: whatever reaches the line meets it]({plot})

| work | ours | limit | ratio | goal | met | how |
|---|---|---|---|---|---|---|
"""

_BARS = {True: "#2f7d5b", False: "#b4483a"}


_NOTES = Path(__file__).with_name("notes.md")


def write(folder: Path, findings: Sequence[Finding], scale: Scale, postgres: str) -> None:
    """Write page and plot into a folder."""
    head = _HEAD.format(
        rounds=scale.rounds,
        seconds=scale.seconds,
        cores=cores(),
        postgres=postgres,
        day=date.today().isoformat(),  # noqa: DTZ011 (the day on the machine that measured)
        machine=_machine(),
        python=platform.python_version(),
        plot=PLOT_NAME,
    )
    rows = "".join(f"{row(finding)}\n" for finding in findings)
    folder.mkdir(exist_ok=True)
    (folder / "performance.md").write_text(f"{head}{rows}\n{_NOTES.read_text()}")
    _plot(folder / PLOT_NAME, findings)


def row(finding: Finding) -> str:
    """Write a finding as a row of the table."""
    sign = "at least" if finding.at_least else "at most"
    cells = (
        finding.work,
        finding.figure,
        finding.limit,
        f"{finding.ratio:.2f}",
        f"{sign} {finding.goal:g}",
        "yes" if finding.met else "**no**",
        finding.about,
    )
    return f"| {' | '.join(cells)} |"


def _plot(path: Path, findings: Sequence[Finding]) -> None:
    pyplot: Any = importlib.import_module("matplotlib.pyplot")  # its types are half known
    pyplot.switch_backend("agg")
    most = 3.0
    figure, axes = pyplot.subplots(figsize=(9, 0.36 * len(findings) + 1.1), dpi=130)
    for place, finding in enumerate(reversed(findings)):
        reach = min(finding.reach, most)
        axes.barh(place, reach, color=_BARS[finding.met], height=0.62)
        more = "" if reach < most else " (further)"
        axes.text(reach + 0.03, place, f"{finding.figure}{more}", va="center", fontsize=8)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(range(len(findings)), [finding.work for finding in reversed(findings)], fontsize=8)
    axes.set_xlim(0, most + 1.2)
    axes.set_xticks([0, 1, 2, 3], ["", "the goal", "twice as good", "three times"], fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def _machine() -> str:
    system = os.uname()
    return f"{system.sysname} on {system.machine}"
