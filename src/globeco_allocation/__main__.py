"""``python -m globeco_allocation`` is the command ``globeco-allocation``."""

from globeco_allocation.entrypoints.cli import main

raise SystemExit(main())
