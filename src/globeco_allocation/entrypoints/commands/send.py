"""``globeco-allocation send``: what became ready goes out now."""

import argparse
import json
import os
import sys
import time
from http import HTTPStatus
from typing import Any, cast

from globeco_allocation.entrypoints.exit_codes import ExitCode

EPILOG = """\
The service does the work and goes on with it when this command is interrupted.

exit codes: 0 delivered, or nothing to send; 1 failed; 3 the service is away or busy, or another
sender claimed the same batch; 4 delivered, but some records were refused; 5 not delivered yet
"""

LONGEST_WAIT_SECONDS = 55
"""The service waits no longer within one request."""

_ANSWER_SECONDS = 15.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where the service is, and how long to wait for the outcome."""
    port = os.environ.get("PORT") or "8089"
    parser.epilog = EPILOG
    parser.add_argument(
        "--url", default=f"http://localhost:{port}", help="where the service answers (default: %(default)s)"
    )
    parser.add_argument(
        "--wait",
        type=_wait,
        default=LONGEST_WAIT_SECONDS,
        metavar="SECONDS",
        help=f"how long to wait for the outcome, 0 to {LONGEST_WAIT_SECONDS} (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print the service's answer as it came")


def run(arguments: argparse.Namespace) -> int:
    """Send, and say what came of it."""
    begun = time.monotonic()
    if sys.stderr.isatty():
        print(f"Sending, waiting up to {arguments.wait} s for the outcome ...", file=sys.stderr, flush=True)
    try:
        status, answer, body = _post(arguments.url, arguments.wait)
    except OSError as error:
        reason = getattr(error, "reason", error)
        print(f"globeco-allocation: no answer from {arguments.url}: {reason}", file=sys.stderr)
        return ExitCode.TRY_AGAIN
    except ValueError as error:
        print(f"globeco-allocation: {arguments.url} is not the service: {error}", file=sys.stderr)
        return ExitCode.FAILED
    code = _code(status, answer)
    if arguments.json:
        print(body)
    else:
        _tell(answer, time.monotonic() - begun, code)
    return code


def _post(url: str, wait: int) -> tuple[int, dict[str, Any], str]:
    """Have it sent.

    Returns:
        The answer's status, its JSON object and its text.

    Raises:
        OSError: nobody answers.
        ValueError: *url* is none, or the answer is not the service's.
    """
    import http.client  # noqa: PLC0415 (not for --help)
    import urllib.error  # noqa: PLC0415
    import urllib.parse  # noqa: PLC0415
    import urllib.request  # noqa: PLC0415

    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("an address begins with http:// or https:// and names a host")
    headers = {"Content-Type": "application/json", "Accept": "application/json", "Prefer": f"wait={wait}"}
    request = urllib.request.Request(  # noqa: S310 (checked above)
        f"{url.rstrip('/')}/api/v1/executions/send", b"{}", headers
    )
    try:
        with urllib.request.urlopen(request, timeout=wait + _ANSWER_SECONDS) as response:  # noqa: S310
            status, body = response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            status, body = error.code, error.read()
    except http.client.HTTPException as error:
        raise ValueError(f"it answers no HTTP ({type(error).__name__})") from error
    text = body.decode()
    answer = _object(json.loads(text))
    if "message" not in answer:
        raise ValueError(f"it answers {status} in another form")
    return status, answer, text


def _code(status: int, answer: dict[str, Any]) -> ExitCode:
    match status:
        case HTTPStatus.OK:
            return ExitCode.PARTIAL if answer.get("status") == "partial" else ExitCode.OK
        case HTTPStatus.ACCEPTED:
            return ExitCode.UNDER_WAY
        case HTTPStatus.CONFLICT | HTTPStatus.SERVICE_UNAVAILABLE | HTTPStatus.BAD_GATEWAY:
            return ExitCode.TRY_AGAIN
        case _:
            return ExitCode.FAILED


def _tell(answer: dict[str, Any], seconds: float, code: ExitCode) -> None:
    print(answer["message"], file=sys.stdout if code in {ExitCode.OK, ExitCode.PARTIAL} else sys.stderr)
    batch = _object(answer.get("details")) or answer
    if batch.get("fileName"):
        print(
            f"batch {batch['batchId']}, {batch['processedCount']} executions, "
            f"file {batch['fileName']}, {seconds:.1f} s"
        )


def _object(value: object) -> dict[str, Any]:
    """Return a JSON object; nothing where the value is none."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _wait(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > LONGEST_WAIT_SECONDS:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 to {LONGEST_WAIT_SECONDS}")
    return int(text)
