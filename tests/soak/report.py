"""What a soak came to, for a person: a table in the terminal, and a page with a plot."""

import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.soak import allowed, gauges
from tests.soak.play import Outcome

_MATERIAL = ("replica", "samples", "least", "median", "most", "growth", "files", "their growth")
_PAGE = """\
# The soak

Written by `make soak`: two replicas, mixed load, sends every few seconds, an accounting CLI that fails one
time in five, PostgreSQL killed and started twice, one replica of two killed and replaced. Afterwards the
audit compares what was acknowledged with windows, files and accounting's books.

Begun {begun} UTC, Python {python}, {machine}.

{table}

Resident memory in MiB, and open files. The first {warm_up} of a replica's time are its warm-up. Growth is the
median of the last quarter of what follows, less that of its first quarter: at most {growth} MiB and {files}
files, judged where a replica was looked at for a minute; no sample above {most} MiB.

{sizes}

![Resident memory and open files](soak.png)
"""


def rows(outcome: Outcome) -> list[tuple[str, str]]:
    """Return the summary, a name and a value each."""
    load = outcome.load
    answers = {
        what: ", ".join(
            f"{status or 'none'}: {count}"
            for (one, status), count in sorted(load.answers.items())
            if one == what
        )
        for what in sorted({what for what, _ in load.answers})
    }
    seconds = sorted(load.seconds) or [0.0]
    outages = ", ".join(
        f"{one.what} {one.begun - outcome.begun:.0f} to {one.ended - outcome.begun:.0f} s"
        for one in outcome.windows.all
    )
    return [
        ("load", f"{outcome.seconds:.0f} s, two replicas"),
        ("outages, their aftermath included", outages),
        ("executions acknowledged", str(outcome.executions)),
        ("batches claimed", str(outcome.batches)),
        ("CLI runs, of which failed", f"{outcome.runs[0]}, {outcome.runs[1]}"),
        ("batches resent by hand", str(load.resent)),
        ("seconds to an answer", f"median {statistics.median(seconds):.3f}, p99 {_at(seconds, 0.99):.3f}"),
        ("requests not answered, in outages", str(len(load.misses))),
        *((f"answers to {what}", told) for what, told in answers.items()),
        *((f"logged: {event}", f"{count}; {allowed.ALLOWED.get(event, ('', 'NOT ALLOWED'))[1]}")
          for event, count in sorted(outcome.grave.items())),
        ("faults found", "; ".join(outcome.faults) or "none"),
    ]  # fmt: skip


def _at(seconds: Sequence[float], part: float) -> float:
    return seconds[min(int(len(seconds) * part), len(seconds) - 1)]


def summary(outcome: Outcome) -> str:
    """Return the summary as a table for a terminal."""
    told = rows(outcome)
    width = max(len(name) for name, _ in told)
    lines = [f"{name:<{width}}  {value}" for name, value in told]
    return "\n".join([*lines, "", *("  ".join(f"{cell:>15}" for cell in row) for row in _material(outcome))])


def write(outcome: Outcome, folder: Path) -> None:
    """Write ``soak.md`` and ``soak.png``."""
    from matplotlib.figure import Figure  # noqa: PLC0415 (takes a second)

    figure = Figure(figsize=(9, 5.5), layout="tight")
    upper, lower = figure.subplots(2, 1, sharex=True)
    for one in outcome.gauges:
        at = [moment - outcome.begun for moment in one.at]
        upper.plot(at, one.mib, label=one.name)
        lower.plot(at, one.files, label=one.name)
    for axes in (upper, lower):
        for window in outcome.windows.all:
            axes.axvspan(window.begun - outcome.begun, window.ended - outcome.begun, color="0.88")
        axes.grid(visible=True, alpha=0.3)
    upper.set_ylabel("resident memory, MiB")
    upper.set_ylim(0, gauges.MOST_MIB)
    upper.legend(loc="lower right")
    lower.set_ylabel("open files")
    lower.set_ylim(bottom=0)
    lower.set_xlabel("seconds of load; grey: outages made on purpose")
    figure.savefig(folder / "soak.png", dpi=90)  # pyright: ignore[reportUnknownMemberType]
    (folder / "soak.md").write_text(_page(outcome), encoding="utf-8")


def _page(outcome: Outcome) -> str:
    table = ["| what | how much |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows(outcome))]
    material = _material(outcome)
    sizes = [_line(material[0]), "|" + "---|" * len(material[0]), *map(_line, material[1:])]
    return _PAGE.format(
        begun=f"{datetime.fromtimestamp(outcome.begun, UTC):%Y-%m-%d %H:%M}",
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        table="\n".join(table),
        warm_up=f"{gauges.WARM_UP:.0%}",
        growth=f"{gauges.MOST_GROWTH_MIB:g}",
        files=gauges.MOST_GROWTH_FILES,
        most=f"{gauges.MOST_MIB:.0f}",
        sizes="\n".join(sizes),
    )


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _material(outcome: Outcome) -> list[Sequence[str]]:
    lines: list[Sequence[str]] = [_MATERIAL]
    for one in outcome.gauges:
        mib, files = one.mib or [0.0], one.files or [0]
        shown = (min(mib), statistics.median(mib), max(mib), one.growth_mib)
        lines.append(
            (
                one.name,
                str(len(one.mib)),
                *(f"{each:.1f}" for each in shown),
                f"{statistics.median(files):.0f}",
                f"{one.growth_files:.0f}",
            )
        )
    return lines
