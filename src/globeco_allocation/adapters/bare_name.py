"""Names of files in the output directory: bare, so that nothing outside of it can be meant."""


def check_bare(name: str) -> None:
    """Refuse what is not a plain visible file name.

    Raises:
        ValueError: it is empty or hidden, holds a separator or a control character, or begins with a dash,
            which a command line would take for an option.
    """
    if not name or name[0] in ".-" or "/" in name or not name.isprintable():
        raise ValueError(f"not a bare file name: {name!r}")
