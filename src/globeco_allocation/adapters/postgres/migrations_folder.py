"""Where the migrations lie: in the installed package, or beside the source."""

from pathlib import Path

import globeco_allocation


def migrations_folder() -> Path:
    """Return the folder of the migrations.

    Raises:
        FileNotFoundError: the package was installed without them.
    """
    package = Path(globeco_allocation.__file__).parent
    for folder in (package / "migrations", package.parent.parent / "migrations"):
        if any(folder.glob("0001.*.sql")):
            return folder
    raise FileNotFoundError("the migrations are missing from this installation of globeco-allocation")


def migration_names() -> tuple[str, ...]:
    """Return the names of all migrations, in the order in which they are applied.

    Raises:
        FileNotFoundError: the package was installed without them.
    """
    files = migrations_folder().glob("*.sql")
    return tuple(sorted(file.stem for file in files if not file.name.endswith(".rollback.sql")))
