"""What the environment says, read once, in `main`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from haulier.errors import DefinitionError


@dataclass(frozen=True, kw_only=True)
class Variable:
    """One environment variable: ``docs/environment.md`` is generated from this table."""

    name: str
    default: str
    meaning: str
    secret: bool = False


VARIABLES: tuple[Variable, ...] = (
    Variable(
        name="HAULIER_DEFINITIONS",
        default=".",
        meaning="Folder with `pipelines/`, `contracts/`, `functions/` and `sources/`.",
    ),
    Variable(
        name="HAULIER_SOURCE_ROOT",
        default=".",
        meaning="Folder that relative source paths of definitions start from.",
    ),
    Variable(
        name="HAULIER_EXCHANGE",
        default="file://.haulier/exchange",
        meaning="Where the steps hand over: `s3://bucket/prefix` or `file://folder`.",
    ),
    Variable(
        name="HAULIER_BATCH_ROWS",
        default="250000",
        meaning="Most rows in one batch; memory grows with it, results do not change.",
    ),
    Variable(
        name="HAULIER_BATCH_BYTES", default="33554432", meaning="Most bytes of source text in one batch."
    ),
    Variable(name="HAULIER_RESULT_FILE", default="", meaning="File that also receives the result line."),
    Variable(name="HAULIER_LOG_LEVEL", default="info", meaning="`debug`, `info`, `warning` or `error`."),
    Variable(
        name="HAULIER_ACTOR",
        default="",
        meaning="Who asked for this run; recorded in the ledger. Default: the user name.",
    ),
    Variable(
        name="HAULIER_REQUIRE_APPROVAL",
        default="false",
        meaning="`true`: extract and its check refuse (2) a pipeline whose `approval` is missing or of another state of it.",
    ),
    Variable(
        name="HAULIER_IDLE_TIMEOUT_SECONDS",
        default="20",
        meaning="`idle_in_transaction_session_timeout` of a load: how long a frozen attempt may hold a lock.",
    ),
    Variable(
        name="HAULIER_LOCK_TIMEOUT_SECONDS",
        default="120",
        meaning="`lock_timeout`: how long a load waits for its target, and the making of a slot for open transactions; then "
        "exit 75. Longer than the idle timeout.",
    ),
    Variable(
        name="HAULIER_TRANSACTION_TIMEOUT_SECONDS",
        default="7200",
        meaning="`transaction_timeout`: the longest a load transaction may take.",
    ),
    Variable(
        name="HAULIER_S3_TIMEOUT_SECONDS",
        default="60",
        meaning="Longest time one S3 request may take before it is tried again.",
    ),
    Variable(
        name="HAULIER_SOURCE_S3_ENDPOINT_URL",
        default="",
        meaning="S3 endpoint that `s3://` paths of definitions are read from. Default, with the next four: the exchange's.",
    ),
    Variable(name="HAULIER_SOURCE_S3_REGION", default="", meaning="Its region."),
    Variable(
        name="HAULIER_SOURCE_S3_ACCESS_KEY_ID",
        default="",
        meaning="An access key that may read there.",
        secret=True,
    ),
    Variable(name="HAULIER_SOURCE_S3_SECRET_ACCESS_KEY", default="", meaning="Its secret key.", secret=True),
    Variable(
        name="HAULIER_SOURCE_S3_SESSION_TOKEN",
        default="",
        meaning="Its session token, for temporary credentials.",
        secret=True,
    ),
    Variable(
        name="HAULIER_ARCHIVE",
        default="",
        meaning="Where `haulier archive` keeps partitions: `s3://bucket/prefix` or `file://folder`, where nothing is swept.",
    ),
    Variable(
        name="HAULIER_ARCHIVE_S3_ENDPOINT_URL",
        default="",
        meaning="S3 endpoint of that bucket. Default, with the next four: the exchange's.",
    ),
    Variable(name="HAULIER_ARCHIVE_S3_REGION", default="", meaning="Its region."),
    Variable(
        name="HAULIER_ARCHIVE_S3_ACCESS_KEY_ID",
        default="",
        meaning="An access key that may read and write there.",
        secret=True,
    ),
    Variable(name="HAULIER_ARCHIVE_S3_SECRET_ACCESS_KEY", default="", meaning="Its secret key.", secret=True),
    Variable(
        name="HAULIER_ARCHIVE_S3_SESSION_TOKEN",
        default="",
        meaning="Its session token, for temporary credentials.",
        secret=True,
    ),
    Variable(
        name="HAULIER_SOURCE_SFTP_USER",
        default="",
        meaning="Whom the servers of `sftp://` paths of definitions let in.",
    ),
    Variable(name="HAULIER_SOURCE_SFTP_PASSWORD", default="", meaning="The user's password.", secret=True),
    Variable(
        name="HAULIER_SOURCE_SFTP_PRIVATE_KEY",
        default="",
        meaning="The user's private key, as `ssh-keygen` writes it; in the password's place, or beside it.",
        secret=True,
    ),
    Variable(
        name="HAULIER_SOURCE_SFTP_PASSPHRASE",
        default="",
        meaning="What unlocks the private key.",
        secret=True,
    ),
    Variable(
        name="HAULIER_SOURCE_SFTP_KNOWN_HOSTS",
        default="",
        meaning="File with the servers' public keys, as OpenSSH's known_hosts. A server that is not known is not asked.",
    ),
    Variable(
        name="HAULIER_SOURCE_SFTP_HOST_KEY",
        default="",
        meaning="The server's public key itself, `ssh-ed25519 AAAA…`, where there is one server.",
    ),
    Variable(
        name="HAULIER_SOURCE_SFTP_TIMEOUT_SECONDS",
        default="60",
        meaning="Longest time such a server may be silent.",
    ),
    Variable(
        name="PGHOST",
        default="",
        meaning="PostgreSQL, as libpq reads it; so PGPORT, PGUSER, PGDATABASE, PGSSLMODE and the rest.",
    ),
    Variable(name="PGPASSWORD", default="", meaning="PostgreSQL password (or `PGPASSFILE`).", secret=True),
    Variable(name="AWS_ENDPOINT_URL", default="", meaning="S3 endpoint when it is not AWS."),
    Variable(name="AWS_REGION", default="us-east-1", meaning="S3 region."),
    Variable(name="AWS_ACCESS_KEY_ID", default="", meaning="S3 access key.", secret=True),
    Variable(name="AWS_SECRET_ACCESS_KEY", default="", meaning="S3 secret key.", secret=True),
    Variable(
        name="AWS_SESSION_TOKEN",
        default="",
        meaning="S3 session token, for temporary credentials.",
        secret=True,
    ),
    Variable(
        name="HAULIER_SECRET_NAME",
        default="",
        meaning="What a definition calls the secret `NAME`; one variable for each.",
        secret=True,
    ),
)

#: Before the name of a secret that definitions may speak of: they reach no other variable.
SECRET_PREFIX = "HAULIER_SECRET_"  # noqa: S105 - the name of a variable


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What one process was told. Secrets never show in its ``repr``."""

    definitions: Path = Path()
    source_root: Path = Path()
    exchange: str = "file://.haulier/exchange"
    batch_rows: int = 250_000
    batch_bytes: int = 32 * 1024 * 1024
    result_file: Path | None = None
    log_level: str = "info"
    actor: str = "unknown"
    require_approval: bool = False
    idle_timeout_seconds: float = 20
    lock_timeout_seconds: float = 120
    transaction_timeout_seconds: float = 7200
    s3_timeout_seconds: float = 60
    s3_endpoint: str | None = None
    s3_region: str = "us-east-1"
    s3_access_key_id: str | None = field(default=None, repr=False)
    s3_secret_access_key: str | None = field(default=None, repr=False)
    s3_session_token: str | None = field(default=None, repr=False)
    #: What definitions call secrets, by name.
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Where archived partitions are kept; empty: nowhere yet.
    archive: str = ""
    archive_s3_endpoint: str | None = None
    archive_s3_region: str | None = None
    archive_s3_access_key_id: str | None = field(default=None, repr=False)
    archive_s3_secret_access_key: str | None = field(default=None, repr=False)
    archive_s3_session_token: str | None = field(default=None, repr=False)
    source_s3_endpoint: str | None = None
    source_s3_region: str | None = None
    source_s3_access_key_id: str | None = field(default=None, repr=False)
    source_s3_secret_access_key: str | None = field(default=None, repr=False)
    source_s3_session_token: str | None = field(default=None, repr=False)
    source_sftp_user: str | None = None
    source_sftp_password: str | None = field(default=None, repr=False)
    source_sftp_private_key: str | None = field(default=None, repr=False)
    source_sftp_passphrase: str | None = field(default=None, repr=False)
    source_sftp_known_hosts: str | None = None
    source_sftp_host_key: str | None = None
    source_sftp_timeout_seconds: float = 60
    #: libpq's own variables, secrets resolved; handed to the driver as they are.
    postgres: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read the table above. Raises `DefinitionError` naming the variable and its value."""
        get = _Reader(environ)
        settings = cls(
            definitions=Path(get.text("HAULIER_DEFINITIONS")),
            source_root=Path(get.text("HAULIER_SOURCE_ROOT")),
            exchange=get.text("HAULIER_EXCHANGE"),
            batch_rows=get.whole("HAULIER_BATCH_ROWS"),
            batch_bytes=get.whole("HAULIER_BATCH_BYTES"),
            result_file=Path(get.text("HAULIER_RESULT_FILE")) if get.text("HAULIER_RESULT_FILE") else None,
            log_level=get.one_of("HAULIER_LOG_LEVEL", ("debug", "info", "warning", "error")),
            actor=get.text("HAULIER_ACTOR") or _user(environ),
            require_approval=get.one_of("HAULIER_REQUIRE_APPROVAL", ("true", "false")) == "true",
            idle_timeout_seconds=get.seconds("HAULIER_IDLE_TIMEOUT_SECONDS"),
            lock_timeout_seconds=get.seconds("HAULIER_LOCK_TIMEOUT_SECONDS"),
            transaction_timeout_seconds=get.seconds("HAULIER_TRANSACTION_TIMEOUT_SECONDS"),
            s3_timeout_seconds=get.seconds("HAULIER_S3_TIMEOUT_SECONDS"),
            s3_endpoint=get.text("AWS_ENDPOINT_URL") or None,
            s3_region=environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1",
            s3_access_key_id=get.secret("AWS_ACCESS_KEY_ID"),
            s3_secret_access_key=get.secret("AWS_SECRET_ACCESS_KEY"),
            s3_session_token=get.secret("AWS_SESSION_TOKEN"),
            secrets=get.secrets(),
            archive=get.text("HAULIER_ARCHIVE"),
            archive_s3_endpoint=get.text("HAULIER_ARCHIVE_S3_ENDPOINT_URL") or None,
            archive_s3_region=get.text("HAULIER_ARCHIVE_S3_REGION") or None,
            archive_s3_access_key_id=get.secret("HAULIER_ARCHIVE_S3_ACCESS_KEY_ID"),
            archive_s3_secret_access_key=get.secret("HAULIER_ARCHIVE_S3_SECRET_ACCESS_KEY"),
            archive_s3_session_token=get.secret("HAULIER_ARCHIVE_S3_SESSION_TOKEN"),
            source_s3_endpoint=get.text("HAULIER_SOURCE_S3_ENDPOINT_URL") or None,
            source_s3_region=get.text("HAULIER_SOURCE_S3_REGION") or None,
            source_s3_access_key_id=get.secret("HAULIER_SOURCE_S3_ACCESS_KEY_ID"),
            source_s3_secret_access_key=get.secret("HAULIER_SOURCE_S3_SECRET_ACCESS_KEY"),
            source_s3_session_token=get.secret("HAULIER_SOURCE_S3_SESSION_TOKEN"),
            source_sftp_user=get.text("HAULIER_SOURCE_SFTP_USER") or None,
            source_sftp_password=get.secret("HAULIER_SOURCE_SFTP_PASSWORD"),
            source_sftp_private_key=get.secret("HAULIER_SOURCE_SFTP_PRIVATE_KEY"),
            source_sftp_passphrase=get.secret("HAULIER_SOURCE_SFTP_PASSPHRASE"),
            source_sftp_known_hosts=get.text("HAULIER_SOURCE_SFTP_KNOWN_HOSTS") or None,
            source_sftp_host_key=get.text("HAULIER_SOURCE_SFTP_HOST_KEY") or None,
            source_sftp_timeout_seconds=get.seconds("HAULIER_SOURCE_SFTP_TIMEOUT_SECONDS"),
            postgres=get.postgres(),
        )
        if settings.idle_timeout_seconds >= settings.lock_timeout_seconds:
            raise DefinitionError(
                f"HAULIER_IDLE_TIMEOUT_SECONDS ({settings.idle_timeout_seconds:g}) must be shorter than "
                f"HAULIER_LOCK_TIMEOUT_SECONDS ({settings.lock_timeout_seconds:g}), or a frozen attempt fails its neighbours"
            )
        return settings


class _Reader:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._defaults = {variable.name: variable.default for variable in VARIABLES}

    def text(self, name: str) -> str:
        return self._environ.get(name) or self._defaults[name]

    def secret(self, name: str) -> str | None:
        """The variable, or the content of the file that NAME_FILE names."""
        path = self._environ.get(f"{name}_FILE")
        if not path:
            return self._environ.get(name) or None
        try:
            return Path(path).read_text(encoding="utf-8").strip() or None
        except (OSError, ValueError) as exc:
            # What it names is not repeated: somebody may have written the secret itself. Nor `from exc`, which names it.
            why = exc.strerror if isinstance(exc, OSError) else "it is no text in UTF-8"
            raise DefinitionError(
                f"{name}_FILE: the file it names cannot be read ({why}); a secret itself goes into {name}"
            ) from None

    def secrets(self) -> dict[str, str]:
        """name -> value of every variable under `SECRET_PREFIX`, or of the file its ``_FILE`` names."""
        names = {name.removesuffix("_FILE") for name in self._environ if name.startswith(SECRET_PREFIX)}
        found = {name.removeprefix(SECRET_PREFIX): self.secret(name) for name in sorted(names)}
        return {name: value for name, value in found.items() if value}

    def whole(self, name: str) -> int:
        text = self.text(name)
        if not text.isascii() or not text.isdigit() or int(text) < 1:
            raise DefinitionError(f"{name}: {text!r} is not a whole number above 0")
        return int(text)

    def seconds(self, name: str) -> float:
        text = self.text(name)
        try:
            value = float(text)
        except ValueError as exc:
            raise DefinitionError(f"{name}: {text!r} is not a number of seconds") from exc
        if not 0 < value < 1e6:
            raise DefinitionError(f"{name}: {text!r} is not a number of seconds above 0")
        return value

    def one_of(self, name: str, allowed: tuple[str, ...]) -> str:
        text = self.text(name).lower()
        if text not in allowed:
            raise DefinitionError(f"{name}: {text!r} is not one of {', '.join(allowed)}")
        return text

    def postgres(self) -> dict[str, str]:
        found = {
            k: v for k, v in self._environ.items() if k.startswith("PG") and not k.endswith("_FILE") and v
        }
        password = self.secret("PGPASSWORD")
        return {**found, "PGPASSWORD": password} if password else found


def _user(environ: Mapping[str, str]) -> str:
    """Whoever runs this process; a container's numeric user has no name but its number."""
    named = environ.get("USER") or environ.get("LOGNAME")
    if named:
        return named
    import os
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
