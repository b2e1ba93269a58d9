"""The accounting CLI as a process of this machine: started without a shell, one at a time."""

from globeco_allocation.adapters.subprocess_cli.command import CommandTemplate
from globeco_allocation.adapters.subprocess_cli.runner import SubprocessCli

__all__ = ["CommandTemplate", "SubprocessCli"]
