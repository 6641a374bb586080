"""Files on an SSH server. Nothing is said to one that does not prove with its key that it is the one meant.

Names and times are what the server says; whether a file is whole is judged as in a folder.
"""

from __future__ import annotations

import io
import logging
import struct
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import Any

import paramiko

from haulier.definitions.sources import Files
from haulier.errors import DataError, DefinitionError, HaulierError, TransientError
from haulier.interval import Interval
from haulier.paths import PathPattern
from haulier.settings import Settings
from haulier_extract.sources import Vanished
from haulier_extract.sources.stores import Entry

PORT = 22
#: What every server gives at once (draft-ietf-secsh-filexfer-02, 3), and how much is asked for together: a
#: round trip per request would be slow, and asking for all of a file would hold all of it.
_REQUEST_BYTES, _TOGETHER = 32 * 1024, 64
_KEEPALIVE_SECONDS = 15
_KINDS = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)
_NAME = "HAULIER_SOURCE_SFTP_"


def open_store(files: Files, settings: Settings, interval: Interval) -> Server:
    """Asks the server nothing yet. Raises `DefinitionError` for settings that cannot be right."""
    host, _, path = files.path.removeprefix("sftp://").partition("/")
    return Server(host, PathPattern(path), files, settings)


class Server:
    """Files whose paths on a server match a pattern."""

    def __init__(self, address: str, pattern: PathPattern, files: Files, settings: Settings) -> None:
        self._address, self._pattern = address, pattern
        self._by_time = files.select == "modified"
        self._connection = _Connection(address, settings)

    def entries(self) -> Iterator[tuple[Entry | str, datetime | None]]:
        for path, date in self._pattern.paths(_Remote(self._connection, "/")):
            instant = self._pattern.date(date) if date else None
            entry = self._entry(path, instant)
            if entry is not None:
                yield entry, instant

    def beside(self, entry: Entry, name: str) -> Entry | None:
        path = _Remote(self._connection, f"{entry.handle[0].rpartition('/')[0]}/{name}")
        try:
            status = path.status()
        except Vanished:
            return None
        return self._described(path, status, entry.modified_at)

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        path = entry.handle[0]
        with self._connection.door(entry.uri) as files, files.open(path, "rb") as file:
            size, at = file.stat().st_size or 0, 0
            while at < size:
                stop = min(size, at + _TOGETHER * _REQUEST_BYTES)
                asked = [
                    (start, min(_REQUEST_BYTES, stop - start)) for start in range(at, stop, _REQUEST_BYTES)
                ]
                chunk = b"".join(file.readv(asked))
                if len(chunk) < stop - at:
                    raise TransientError(f"{entry.uri} became shorter while it was read; try again later")
                yield chunk
                at = stop

    def changed(self, entry: Entry) -> bool:
        after = _Remote(self._connection, entry.handle[0]).status()
        return bool(entry.handle != (entry.handle[0], after.st_size, after.st_mtime))

    def _entry(self, path: _Remote, date: datetime | None) -> Entry | str | None:
        try:
            status = path.status()
        except Vanished:
            return f"{self._uri(path)} waits: it vanished while it was looked at"
        if not _is(S_ISREG, status, otherwise=True):
            return None
        if status.st_mtime is None and self._by_time:
            return f"{self._uri(path)} waits: its server does not say when it was modified; put a date into its path"
        return self._described(path, status, date)

    def _described(self, path: _Remote, status: Any, otherwise: datetime | None) -> Entry:
        told = None if status.st_mtime is None else datetime.fromtimestamp(status.st_mtime, UTC)
        return Entry(
            name=path.name,
            path=path.path.lstrip("/"),
            uri=self._uri(path),
            bytes=status.st_size or 0,
            modified_at=told or otherwise or datetime.fromtimestamp(0, UTC),
            handle=(path.path, status.st_size, status.st_mtime),
        )

    def _uri(self, path: _Remote) -> str:
        return f"sftp://{self._address}{path.path}"


class _Remote:
    """A path on the server, as `haulier.paths` walks it."""

    def __init__(self, connection: _Connection, path: str, listed: Any = None) -> None:
        self.path = path
        self._connection, self._listed = connection, listed

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def __truediv__(self, name: str) -> _Remote:
        return _Remote(self._connection, f"{self.path.rstrip('/')}/{name}")

    def __lt__(self, other: _Remote) -> bool:
        return self.path < other.path

    def iterdir(self) -> Iterator[_Remote]:
        with self._connection.door(f"{self._connection.uri}{self.path}") as files:
            found = files.listdir_attr(self.path)
        for one in found:
            if "/" in one.filename or "\0" in one.filename:
                raise DataError(
                    f"{self._connection.uri}{self.path} lists {one.filename!r}, which is no file's name"
                )
            path = f"{self.path.rstrip('/')}/{one.filename}"
            yield _Remote(self._connection, path, one)

    def exists(self) -> bool:
        try:
            self.status()
        except Vanished:
            return False
        except _Closed:
            return True  # a folder on the way may be closed to us, and what is in it open
        return True

    def is_dir(self) -> bool:
        try:
            return _is(S_ISDIR, self.status(), otherwise=False)
        except Vanished:
            return False

    def is_symlink(self) -> bool:
        return _is(S_ISLNK, self._listed, otherwise=False)

    def status(self) -> Any:
        """What it is, or what it links to. Raises `Vanished`."""
        if self._listed is not None and not self.is_symlink() and self._listed.st_mode is not None:
            return self._listed
        with self._connection.door(f"{self._connection.uri}{self.path}") as files:
            return files.stat(self.path)


def _is(kind: Any, status: Any, *, otherwise: bool) -> bool:
    """Servers need not say what an entry is."""
    return otherwise if status is None or status.st_mode is None else bool(kind(status.st_mode))


class _Closed(DefinitionError):
    """What may not be read."""


class _UnknownHost(Exception):
    """A server whose key nobody vouched for."""

    def __init__(self, key: Any) -> None:
        self.key = key


class _Refusing(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]  # paramiko has no types
    def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
        raise _UnknownHost(key)


class _Connection:
    """A session with the server: opened when it is needed, and again when it broke."""

    def __init__(self, address: str, settings: Settings) -> None:
        """Raises `DefinitionError` for settings that are missing or cannot be used."""
        self.uri = f"sftp://{address}"
        self._host, _, port = address.partition(":")
        self._port = int(port or PORT)
        self._settings = settings
        if not settings.source_sftp_user:
            raise DefinitionError(f"{_NAME}USER: not set, and {self.uri} lets nobody in without a name")
        if not (settings.source_sftp_password or settings.source_sftp_private_key):
            raise DefinitionError(
                f"{_NAME}PASSWORD: not set, nor {_NAME}PRIVATE_KEY; {self.uri} asks for one of them"
            )
        self._key = _private_key(settings)
        self._known = _host_keys(settings, self._line_name)
        self._files: Any = None
        # The library says what goes wrong twice: to whoever called it, and to the log, in its own words.
        log = logging.getLogger("paramiko")
        log.propagate = False
        log.addHandler(logging.NullHandler())

    @property
    def _line_name(self) -> str:
        """The server as a line of known_hosts has it."""
        return self._host if self._port == PORT else f"[{self._host}]:{self._port}"

    @contextmanager
    def door(self, what: str) -> Iterator[Any]:
        """The server's files; what the library raises leaves as one of ours."""
        try:
            yield self._opened()
        except (HaulierError, Vanished):
            raise
        except FileNotFoundError as exc:
            raise Vanished from exc
        except _UnknownHost as exc:
            raise DefinitionError(
                f"{self.uri} is not known: nobody vouched for its key {exc.key.fingerprint}. Compare that with what its "
                f"owner says; then add this line to the file that {_NAME}KNOWN_HOSTS names: {self._line(exc.key)}"
            ) from None
        except paramiko.BadHostKeyException as exc:
            raise DefinitionError(
                f"{self.uri} has another key than the one it is known by: {exc.key.fingerprint}, not "
                f"{exc.expected_key.fingerprint}. It is another server, or has a new key; ask its owner, and only then "
                f"replace its line by: {self._line(exc.key)}"
            ) from None
        except paramiko.AuthenticationException:
            raise DefinitionError(
                f"{self.uri} does not let {self._settings.source_sftp_user} in; see {_NAME}USER, {_NAME}PASSWORD and "
                f"{_NAME}PRIVATE_KEY"
            ) from None
        except UnicodeDecodeError:
            raise DataError(f"{what} has a name in it that is not UTF-8; have that file renamed") from None
        except (paramiko.SSHException, OSError, EOFError) as exc:
            # Some servers have no code for it, only the words.
            if isinstance(exc, PermissionError) or "permission denied" in str(exc).lower():
                raise _Closed(
                    f"{what} may not be read by {self._settings.source_sftp_user} ({_NAME}USER)", path=what
                ) from None
            self.close()
            raise TransientError(
                f"{what} cannot be reached or read ({type(exc).__name__}); try again later", path=what
            ) from exc

    def close(self) -> None:
        if self._files is not None:
            self._close()
            self._files = None

    def _opened(self) -> Any:
        if self._files is not None and not self._files.get_channel().closed:
            return self._files
        self.close()
        seconds = self._settings.source_sftp_timeout_seconds
        client = paramiko.SSHClient()
        self._close = weakref.finalize(self, client.close)
        for known in self._known:
            for name in known.hostnames:
                client.get_host_keys().add(name, known.key.get_name(), known.key)
        client.set_missing_host_key_policy(_Refusing())
        try:
            client.connect(
                self._host,
                self._port,
                username=self._settings.source_sftp_user,
                password=self._settings.source_sftp_password,
                pkey=self._key,
                look_for_keys=False,
                allow_agent=False,
                timeout=seconds,
                banner_timeout=seconds,
                auth_timeout=seconds,
                channel_timeout=seconds,
            )
            self._files = client.open_sftp()
        except BaseException:
            client.close()
            raise
        self._files.get_channel().settimeout(seconds)
        client.get_transport().set_keepalive(_KEEPALIVE_SECONDS)
        return self._files

    def _line(self, key: Any) -> str:
        return f"{self._line_name} {key.get_name()} {key.get_base64()}"


def _host_keys(settings: Settings, host: str) -> list[Any]:
    """Lines of known_hosts. Raises `DefinitionError` for what is none."""
    lines: list[tuple[str, str]] = []
    if settings.source_sftp_host_key:
        lines.append((f"{_NAME}HOST_KEY", f"{host} {settings.source_sftp_host_key}"))
    if settings.source_sftp_known_hosts:
        name, path = f"{_NAME}KNOWN_HOSTS", settings.source_sftp_known_hosts
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, ValueError) as exc:
            raise DefinitionError(f"{name}: {path} cannot be read ({type(exc).__name__})") from exc
        lines += [(f"{name}: line {at}", line) for at, line in enumerate(text.splitlines(), start=1)]
    found = []
    for name, line in lines:
        # Marked lines speak of authorities and of keys that are revoked: neither is this server's key.
        if not line.strip() or line.lstrip().startswith(("#", "@")):
            continue
        try:
            known = paramiko.hostkeys.HostKeyEntry.from_line(line.strip())
        except (paramiko.SSHException, paramiko.hostkeys.InvalidHostKey, ValueError):
            known = None
        if known is not None:
            found.append(known)
        elif name.endswith("HOST_KEY"):
            raise DefinitionError(
                f"{name} is no public key; write it as ssh-keyscan does, from its kind on: ssh-ed25519 AAAA…"
            )
    return found


def _private_key(settings: Settings) -> Any:
    """Raises `DefinitionError`, which says nothing of the key."""
    text, passphrase = settings.source_sftp_private_key, settings.source_sftp_passphrase
    if not text:
        return None
    for kind in _KINDS:
        try:
            return kind.from_private_key(io.StringIO(f"{text}\n"), passphrase)
        except paramiko.PasswordRequiredException:
            raise DefinitionError(
                f"{_NAME}PRIVATE_KEY is locked with a passphrase; set {_NAME}PASSPHRASE"
            ) from None
        except (paramiko.SSHException, ValueError, TypeError, IndexError, struct.error):
            pass  # of another kind, or no key at all: each kind says so in another way
    raise DefinitionError(
        f"{_NAME}PRIVATE_KEY is no private key that is read here (Ed25519, ECDSA or RSA, as ssh-keygen writes them), "
        f"or {_NAME}PASSPHRASE is not its passphrase"
    )
