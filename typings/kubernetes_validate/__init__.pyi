# The part of kubernetes-validate that the tests use; it is not marked as typed.

from collections.abc import Iterable
from typing import Any

class ValidationError(Exception):
    message: str
    path: Iterable[str | int]

def validate(data: dict[str, Any], desired_version: str, strict: bool = False) -> str: ...
