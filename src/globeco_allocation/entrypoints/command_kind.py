"""What the setting of the accounting CLI's command may hold."""

from globeco_allocation.entrypoints.setting import Kind, UnusableTextError


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
