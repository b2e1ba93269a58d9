# ruff: noqa: RUF009 (a setting is declared where a field has its default)
"""Where the database is, and how it is used."""

from dataclasses import dataclass

from globeco_allocation.adapters.postgres.address import DatabaseAddress, Pooler, SslMode
from globeco_allocation.entrypoints.settings.setting import (
    host_or_socket,
    one_of,
    setting,
    truth,
    whole_number,
    words,
)


@dataclass(frozen=True, kw_only=True)
class DatabaseSettings:
    """How the service reaches its database."""

    db_host: str = setting(
        "DB_HOST",
        "globeco-allocation-service-postgresql",
        host_or_socket(),
        "Where PostgreSQL is",
        alias="DATABASE_HOST",
    )
    db_port: int = setting(
        "DB_PORT", "5432", whole_number(1, 65535), "PostgreSQL's port", alias="DATABASE_PORT"
    )
    db_name: str = setting(
        "DB_NAME", "postgres", words("a name"), "The database; it must exist", alias="DATABASE_NAME"
    )
    db_user: str = setting("DB_USER", "postgres", words("a name"), "The database role", alias="DATABASE_USER")
    db_password: str = setting(
        "DB_PASSWORD",
        "",
        words("a password, but nothing where DB_PASSWORD_FILE is set"),
        "The role's password; none if empty",
        alias="DATABASE_PASSWORD",
        secret=True,
        may_be_empty=True,
    )
    db_password_file: str = setting(
        "DB_PASSWORD_FILE",
        "",
        words("the path of a readable text file of at most 64 KiB"),
        "A file that holds the password, such as a mounted secret, instead of `DB_PASSWORD`",
    )
    db_ssl_mode: SslMode = setting(
        "DB_SSL_MODE",
        "prefer",
        # libpq's "allow" begins without TLS; we have no use for the difference.
        one_of(SslMode, {"allow": SslMode.PREFER}),
        "TLS to PostgreSQL, in libpq's words; only `verify-full` keeps out who can answer in its place",
        alias="PGSSLMODE",
    )
    db_ssl_root_cert_file: str = setting(
        "DB_SSL_ROOT_CERT_FILE",
        "",
        words("the path of a PEM file; it must be set for verify-ca and verify-full"),
        "The authorities that the server's certificate may come from; read anew for each connection",
        alias="PGSSLROOTCERT",
    )
    db_pool_size: int = setting(
        "DB_POOL_SIZE", "10", whole_number(3, 200), "Most database connections of one process"
    )
    db_pooler: Pooler = setting(
        "DB_POOLER",
        "none",
        one_of(Pooler),
        "What stands before PostgreSQL: `transaction` is PgBouncer in that mode; `migrate` goes around it",
    )
    migrate_on_start: bool = setting(
        "MIGRATE_ON_START",
        "true",
        truth(),
        "Whether `serve` brings the schema up to date; else `migrate` must",
    )

    @property
    def database(self) -> DatabaseAddress:
        """Where the database is, and who we are there."""
        return DatabaseAddress(
            self.db_host,
            self.db_port,
            self.db_name,
            self.db_user,
            self.db_password,
            self.db_pooler,
            self.db_ssl_mode,
            self.db_ssl_root_cert_file,
        )
