"""Check a bill of materials against CycloneDX' own schema, and name what is wrong: ``check_sbom.py FILE``."""

import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def main(path: Path) -> int:
    """Return 0 when it is valid, else 1."""
    fault = JsonStrictValidator(SchemaVersion.V1_5).validate_str(path.read_text(encoding="utf-8"))
    print(f"{path}: {str(fault).splitlines()[0] if fault else 'valid CycloneDX 1.5'}")
    return 1 if fault else 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
