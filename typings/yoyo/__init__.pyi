# The part of yoyo that this project uses; yoyo itself is not marked as typed.

from yoyo.migrations import MigrationList

def read_migrations(*sources: str) -> MigrationList: ...
