class LockTimeout(Exception): ...  # noqa: N818 - yoyo's name
