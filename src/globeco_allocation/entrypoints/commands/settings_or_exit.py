"""The settings, or the end of a command that cannot do without them."""

import os
import sys

from globeco_allocation.entrypoints.exit_codes import ExitCode
from globeco_allocation.entrypoints.settings import Settings
from globeco_allocation.entrypoints.settings.reading import SettingsError
from globeco_allocation.entrypoints.settings.report import unusable_settings


def settings_or_exit() -> Settings:
    """Read the settings from the environment.

    Raises:
        SystemExit: some cannot be used; all of them are named on standard error.
    """
    try:
        return Settings.load(os.environ)
    except SettingsError as error:
        print(f"globeco-allocation: {unusable_settings(error.faults)}", file=sys.stderr)
        raise SystemExit(ExitCode.USAGE) from None
