"""Look for known vulnerabilities in pinned requirements: ``audit.py [--strict] REQUIREMENTS``.

pip-audit asks PyPI. Where PyPI, or a mirror, tells nothing of vulnerabilities, it leaves packages out and
ends with 0 all the same; this says so, and with ``--strict`` fails.

Exit codes: 0 nothing is known, or nobody could be asked; 1 something is known, or ``--strict`` and a package
could not be asked about.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

_LONGEST_SECONDS = 600


def main(arguments: Sequence[str] | None = None) -> int:
    """Audit, print what is known, and return the exit code."""
    parser = argparse.ArgumentParser(description="Look for known vulnerabilities in pinned requirements.")
    parser.add_argument("--strict", action="store_true", help="fail where a package cannot be asked about")
    parser.add_argument("requirements", help="every one pinned, as `uv export` writes them")
    options = parser.parse_args(arguments)
    packages = _asked(options.requirements)
    vulnerable = [package for package in packages if package.get("vulns")]
    unknown = [package for package in packages if package.get("skip_reason")]
    for package in vulnerable:
        for found in package["vulns"]:
            fixed = ", ".join(found["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {found['id']}, fixed in {fixed}")
    judged = len(packages) - len(unknown)
    print(f"{judged} packages judged, {len(vulnerable)} of them with known vulnerabilities.")
    if not packages or unknown:
        of = f" of {len(unknown)} packages" if packages else ""
        print(f"Not audited: nobody who knows{of} could be asked from here.", file=sys.stderr)
        return 1 if vulnerable or options.strict else 0
    return 1 if vulnerable else 0


def _asked(requirements: str) -> list[dict[str, Any]]:
    """Return what pip-audit says of each package; nothing when it could ask nobody."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", requirements, "--no-deps", "--disable-pip"]
    audit = subprocess.run(  # noqa: S603 (our own tool)
        [*command, "--format=json", "--progress-spinner=off"],
        check=False,
        capture_output=True,
        text=True,
        timeout=_LONGEST_SECONDS,
    )
    try:
        packages: list[dict[str, Any]] = json.loads(audit.stdout)["dependencies"]
    except ValueError:
        print("\n".join(audit.stderr.splitlines()[-3:]), file=sys.stderr)
        return []
    return packages


if __name__ == "__main__":
    raise SystemExit(main())
