from collections.abc import Iterator

default_migration_table: str

class Migration:
    id: str
    hash: str

class MigrationList:
    def __iter__(self) -> Iterator[Migration]: ...
