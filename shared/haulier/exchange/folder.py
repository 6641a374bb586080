"""The exchange in a folder: for dry runs, tests, and one machine without an object store."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from haulier.errors import DefinitionError, TransientError
from haulier.exchange import ObjectMissing, check_key

#: Unfinished files wait in here, on the file system of the objects; no key begins with a dot.
UNFINISHED = ".unfinished"

_MISSING = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
_FOR_GOOD = frozenset(
    {
        errno.EACCES,
        errno.EEXIST,
        errno.EISDIR,
        errno.ENAMETOOLONG,
        errno.ENOTDIR,
        errno.EOPNOTSUPP,
        errno.EPERM,
        errno.EROFS,
    }
)


class FolderExchange:
    """Objects as files below one folder. What is there is whole, and a power cut leaves it there."""

    def __init__(self, path: str | Path) -> None:
        if not str(path):
            raise DefinitionError("HAULIER_EXCHANGE: 'file://' names no folder; write file://folder")
        self._folder = Path(path).absolute()

    def __repr__(self) -> str:
        return f"FolderExchange({str(self._folder)!r})"

    @property
    def url(self) -> str:
        return f"file://{self._folder}"

    def put(self, key: str, data: bytes | memoryview) -> None:
        self._write(key, (data,), os.replace)

    def create(self, key: str, data: bytes) -> bool:
        try:
            self._write(key, (data,), os.link)
        except _Taken:
            return False
        return True

    def upload(self, key: str, chunks: Iterable[bytes]) -> int:
        return self._write(key, chunks, os.replace)

    def get(self, key: str) -> bytes:
        path = self._path(key)
        with self._door("read", key):
            return path.read_bytes()

    def stream(self, key: str, chunk_bytes: int = 8 * 1024 * 1024) -> Iterator[bytes]:
        path = self._path(key)
        with self._door("read", key):
            file = path.open("rb")
        with file:
            while True:
                with self._door("read", key):
                    chunk = file.read(chunk_bytes)
                if not chunk:
                    return
                yield chunk

    def piece(self, key: str, start: int, stop: int) -> bytes:
        path = self._path(key)
        with self._door("read", key), path.open("rb", buffering=0) as file:
            file.seek(start)
            return file.read(stop - start)

    def size(self, key: str) -> int | None:
        path = self._path(key)
        try:
            with self._door("read", key):
                return path.stat().st_size if not path.is_dir() else None
        except ObjectMissing:
            return None

    def delete(self, key: str) -> None:
        path = self._path(key)
        with suppress(ObjectMissing), self._door("delete", key):
            path.unlink()

    def _path(self, key: str) -> Path:
        return self._folder / check_key(key)

    def _write(
        self, key: str, chunks: Iterable[bytes | memoryview], enter: Callable[[Path, Path], None]
    ) -> int:
        """Write a file aside, then let it ``enter`` under its name in one operation of the file system."""
        path = self._path(key)
        size = 0
        with self._unfinished(key) as file:
            for chunk in chunks:
                with self._door("write", key):
                    size += file.write(chunk)
            with self._door("write", key):
                file.flush()
                os.fsync(file.fileno())
                _make_folder(path.parent)
            with self._door("write", key):
                try:
                    enter(Path(file.name), path)
                except FileExistsError as exc:
                    raise _Taken from exc
                _sync_folder(path.parent)
        return size

    @contextmanager
    def _unfinished(self, key: str) -> Iterator[BinaryIO]:
        path = self._folder / UNFINISHED / str(uuid.uuid4())
        with self._door("write", key):
            _make_folder(path.parent)
            file = path.open("xb")
        try:
            with file:
                yield file
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def _door(self, verb: str, key: str) -> Iterator[None]:
        """What the file system raises leaves here as one of ours."""
        try:
            yield
        except OSError as exc:
            if verb in ("read", "delete") and isinstance(exc, _MISSING):
                raise ObjectMissing(f"{self.url}/{key} is not there", store=self.url, key=key) from exc
            error = DefinitionError if exc.errno in _FOR_GOOD else TransientError
            raise error(
                f"cannot {verb} {self.url}/{key}: {exc.strerror or exc}; HAULIER_EXCHANGE names the folder",
                store=self.url,
                key=key,
            ) from exc


class _Taken(Exception):
    """There is a file of that name."""


def _make_folder(folder: Path) -> None:
    """Make it, and its parents, so that a power cut leaves them there."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
