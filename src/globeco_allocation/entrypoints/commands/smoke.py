"""``globeco-allocation smoke``: whether what was rolled out works; nothing is sent, booked or stored."""

import argparse
import os
import queue
import sys
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from globeco_allocation.entrypoints.commands.arguments import seconds, words
from globeco_allocation.entrypoints.commands.bearer import add_token_option, authorization
from globeco_allocation.entrypoints.commands.tables import count, one_line
from globeco_allocation.entrypoints.exit_codes import ExitCode

if TYPE_CHECKING:
    from globeco_allocation.entrypoints.smoke.caller import Caller
    from globeco_allocation.entrypoints.smoke.findings import Finding, Terms

EPILOG = """\
Run it after each rollout. It asks, and posts two requests that must be refused; it never sends a batch and
stores nothing. It ends within --timeout, whatever answers.

exit codes: 0 all is well; 1 something is wrong that will not pass by itself; 2 the command line is wrong;
3 nobody answers in time, or what is wrong may pass: try again
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where the service is, and what it is held to."""
    port = os.environ.get("PORT") or "8089"
    parser.epilog = EPILOG
    parser.add_argument(
        "url",
        nargs="?",
        default=f"http://localhost:{port}",
        metavar="URL",
        help="where the service answers (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=60,
        metavar="SECONDS",
        help="longest time in all (default: %(default)s)",
    )
    parser.add_argument(
        "--wait",
        type=seconds,
        default=0,
        metavar="SECONDS",
        help="how long it may take until it is ready (default: %(default)s)",
    )
    parser.add_argument(
        "--expect", type=words, metavar="VERSION", help="the version that has to answer (default: any)"
    )
    add_token_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Make every check, and say of each what it found."""
    from globeco_allocation.entrypoints.smoke.caller import Caller, NotTheServiceError  # noqa: PLC0415
    from globeco_allocation.entrypoints.smoke.findings import Terms  # noqa: PLC0415 (not for --help)

    try:
        bearer = authorization(arguments.token_file)
        caller = Caller(arguments.url, bearer)
    except (NotTheServiceError, ValueError) as error:
        print(f"globeco-allocation: {error}", file=sys.stderr)
        return ExitCode.USAGE
    terms = Terms(version=arguments.expect or "", wait=float(arguments.wait), with_token=bearer is not None)
    return _Smoke(arguments.url, caller, terms).run(float(arguments.timeout))


class _Smoke:
    """One verification: the checks are made in a thread of their own, so that nothing outlasts the bound."""

    def __init__(self, url: str, caller: "Caller", terms: "Terms") -> None:
        self._url = url
        self._caller = caller
        self._terms = terms
        self._found: queue.SimpleQueue[tuple[str, Finding] | None] = queue.SimpleQueue()

    def run(self, timeout: float) -> ExitCode:
        from globeco_allocation.entrypoints.smoke.checks import CHECKS  # noqa: PLC0415 (not for --help)
        from globeco_allocation.entrypoints.smoke.findings import Finding, Mark  # noqa: PLC0415

        deadline = time.monotonic() + timeout
        width = max(map(len, CHECKS))
        findings: list[Finding] = []
        threading.Thread(target=self._check_all, daemon=True).start()
        while True:
            try:
                found = self._found.get(timeout=max(deadline - time.monotonic(), 0.0))
            except queue.Empty:
                late = list(CHECKS)[len(findings)]
                text = f"not within the {timeout:g} s of --timeout; what follows was not asked"
                found = (late, Finding(Mark.FAILED, text, "Try again, or with more time.", may_pass=True))
                findings.append(_printed(*found, width))
                break
            if found is None:
                break
            findings.append(_printed(*found, width))
        return self._sum_up(findings)

    def _check_all(self) -> None:
        from globeco_allocation.entrypoints.smoke.caller import NoAnswerError, NotTheServiceError  # noqa: PLC0415
        from globeco_allocation.entrypoints.smoke.checks import CHECKS, VITAL  # noqa: PLC0415
        from globeco_allocation.entrypoints.smoke.findings import Finding, Mark  # noqa: PLC0415

        for name, check in CHECKS.items():
            try:
                finding = check(self._caller, self._terms)
            except NoAnswerError as error:
                advice = "Is the address right, the service started, and nothing between us and it?"
                finding = Finding(Mark.FAILED, f"no answer: {error}", advice, may_pass=True)
            except NotTheServiceError as error:
                finding = Finding(Mark.FAILED, str(error), "Is the address right?")
            self._found.put((name, finding))
            if name in VITAL and finding.mark is Mark.FAILED:
                break
        self._found.put(None)

    def _sum_up(self, findings: "Sequence[Finding]") -> ExitCode:
        from globeco_allocation.entrypoints.smoke.findings import Mark  # noqa: PLC0415

        wrong = [one for one in findings if one.mark is Mark.FAILED]
        if not wrong:
            skipped = sum(one.mark is Mark.SKIPPED for one in findings)
            print(f"{self._url} works: {len(findings) - skipped} checks ok, {skipped} skipped")
            return ExitCode.OK
        print(f"globeco-allocation: {self._url}: {count(len(wrong), 'check')} failed", file=sys.stderr)
        return ExitCode.TRY_AGAIN if all(one.may_pass for one in wrong) else ExitCode.FAILED


def _printed(name: str, finding: "Finding", width: int) -> "Finding":
    print(f"{finding.mark:<7}  {name:<{width}}  {one_line(finding.text)}".rstrip(), flush=True)
    if finding.advice:
        print(f"         {finding.advice}", flush=True)
    return finding
