"""Text as PostgreSQL can hold it; the twins do alike."""


def storable(text: str) -> str:
    """Replace what PostgreSQL's text cannot hold: NUL characters and halves of surrogate pairs."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()
