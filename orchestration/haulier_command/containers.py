"""How a step's container is set up: the same for a person at a shell and for Airflow."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from haulier.errors import DefinitionError

#: Where a step writes its result line: the path that Kubernetes' sidecar reads, too.
RESULT_FILE = "/airflow/xcom/return.json"
#: What a container may not do, whoever starts it.
PIDS = 256
TMP_BYTES = "256m"
STOP_SECONDS = 20


@dataclass(frozen=True, kw_only=True)
class Mount:
    """A folder of the host, or a named volume, inside the container."""

    source: str
    target: str
    writable: bool = False

    @property
    def kind(self) -> str:
        return "bind" if self.source.startswith("/") else "volume"

    @classmethod
    def parse(cls, text: str) -> Mount:
        """``source:target``, read-only unless ``:rw`` follows. Raises `DefinitionError`."""
        source, _, rest = text.partition(":")
        target, _, mode = rest.partition(":")
        if not source or not target.startswith("/") or mode not in ("", "ro", "rw"):
            raise DefinitionError(
                f"HAULIER_STEP_MOUNTS: {text!r} is not a mount; write /folder/of/host:/folder, or with :rw behind it"
            )
        return cls(source=source, target=target, writable=mode == "rw")

    def __str__(self) -> str:
        readonly = "" if self.writable else ",readonly"
        return f"type={self.kind},source={self.source},target={self.target}{readonly}"


@dataclass(frozen=True, kw_only=True)
class Containers:
    """What every step's container is given."""

    prefix: str = "haulier/"
    tag: str = "latest"
    network: str | None = None
    memory: str = "1g"
    user: str | None = None
    mounts: tuple[Mount, ...] = ()
    #: No secrets: these show in `docker inspect`.
    environment: Mapping[str, str] | None = None
    #: Names whose values Docker takes from the caller's own environment; for a person, never for Airflow.
    inherited: tuple[str, ...] = ()

    def image(self, step: str) -> str:
        return f"{self.prefix}{step}:{self.tag}"

    def by_hand(self, step: str, arguments: Sequence[str]) -> list[str]:
        """The `docker run` line that does the same."""
        limits = [
            *("--init", "--read-only", f"--tmpfs=/tmp:size={TMP_BYTES}", "--cap-drop=ALL"),
            *("--security-opt=no-new-privileges", f"--pids-limit={PIDS}", f"--memory={self.memory}"),
        ]
        given = [
            *([f"--network={self.network}"] if self.network else []),
            *([f"--user={self.user}"] if self.user else []),
            *(f"--mount={mount}" for mount in self.mounts),
            *(f"--env={name}={value}" for name, value in sorted((self.environment or {}).items())),
            *(f"--env={name}" for name in self.inherited),
        ]
        return ["docker", "run", "--rm", *limits, *given, self.image(step), *arguments]


def here(environ: Mapping[str, str]) -> Containers:
    """Containers that see what this shell sees: its definitions, files, exchange and servers.

    Secrets are inherited by name, so that no line shows one; they do show in `docker inspect`, as anything a
    person gives a container by hand.
    """
    import os

    from haulier.settings import Settings
    from haulier_command.by_hand import is_secret, relevant

    settings = Settings.from_env(environ)
    given = relevant(environ)
    plain = {name: value for name, value in given.items() if not is_secret(name)}
    mounts = [
        Mount(source=str(settings.definitions.absolute()), target="/definitions"),
        Mount(source=str(settings.source_root.absolute()), target="/landing"),
    ]
    plain |= {"HAULIER_DEFINITIONS": "/definitions", "HAULIER_SOURCE_ROOT": "/landing"}
    if settings.exchange.startswith("file://"):
        folder = Path(settings.exchange.removeprefix("file://")).absolute()
        mounts.append(Mount(source=str(folder), target="/exchange", writable=True))
        plain["HAULIER_EXCHANGE"] = "file:///exchange"
    for name, value in given.items():
        if name.endswith(("_FILE", "_KNOWN_HOSTS")) and value.startswith("/"):
            mounts.append(Mount(source=value, target=value))
    hosts = (plain.get("PGHOST", ""), plain.get("AWS_ENDPOINT_URL", ""))
    loopback = any(name in host for name in ("127.0.0.1", "localhost") for host in hosts)
    return Containers(
        prefix=environ.get("HAULIER_IMAGE_PREFIX") or "haulier/",
        tag=environ.get("HAULIER_IMAGE_TAG") or "latest",
        network="host" if loopback else environ.get("HAULIER_STEP_NETWORK"),
        # Who may read these folders here may read them there.
        user=f"{os.getuid()}:{os.getgid()}",
        mounts=tuple(mounts),
        environment={**plain, "HAULIER_ACTOR": settings.actor},
        inherited=tuple(sorted(name for name in given if is_secret(name))),
    )


def read_environment(file: Path) -> dict[str, str]:
    """The lines of a Docker env file: ``NAME=value`` as it stands, ``#`` and empty lines left out.

    Raises `DefinitionError` for another line, or a name that holds a secret.
    """
    from haulier_command.by_hand import is_secret

    found = {}
    for number, line in enumerate(_lines(file), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.isidentifier():
            raise DefinitionError(
                f"{file}:{number}: is not NAME=value; write a variable and its value on each line"
            )
        if is_secret(name):
            raise DefinitionError(
                f"{file}:{number}: {name} is a secret and would show in `docker inspect`; "
                f"put it into a file and write {name}_FILE=/run/secrets/…"
            )
        found[name] = value
    return found


def shown(command: Iterable[str]) -> str:
    """A command line to paste."""
    return shlex.join(command)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except OSError as exc:
        raise DefinitionError(f"HAULIER_STEP_ENVIRONMENT: {file} cannot be read ({exc.strerror})") from exc
