"""What the settings may hold that choose how the accounting CLI is run."""

from importlib.util import find_spec

from globeco_allocation.entrypoints.setting import Kind, UnusableTextError, truth


def command() -> Kind[str]:
    """Return the kind of a command line with placeholders, or nothing."""

    def read(text: str) -> str:
        if text:
            # Loaded only where a command is set: `--help` and `migrate` do without.
            from globeco_allocation.adapters.subprocess_cli.command import CommandTemplate  # noqa: PLC0415

            try:
                CommandTemplate.parse(text)
            except ValueError as error:
                raise UnusableTextError(str(error)) from error
        return text

    # That {filename} is there is judged beside the other settings: only where the command is used.
    return Kind(
        "a command with {filename} among its arguments, and {output_dir}, {home}, {run} at will", read
    )


def jobs_switch() -> Kind[bool]:
    """Return the kind of the switch for Kubernetes Jobs, whose library is an extra."""
    plain = truth()

    def read(text: str) -> bool:
        wanted = plain.read(text)
        if wanted and find_spec("lightkube") is None:
            raise UnusableTextError("needs the package's extra: install globeco-allocation[kubernetes]")
        return wanted

    return Kind(plain.allowed, read)
