"""A source that a user wrote: a function of the folder `sources`, called once for an interval.

It yields rows, which become one delivery in JSON Lines, or files as they are. What it does wrong is said with
its file and line, and never with a value.
"""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from haulier import modules
from haulier.definitions import Instance
from haulier.definitions.formats import JsonLines
from haulier.definitions.sources import Ready
from haulier.errors import DefinitionError, HaulierError, TransientError
from haulier.interval import Interval
from haulier.settings import Settings
from haulier_extract.formats import module_of
from haulier_extract.own import Asked, File
from haulier_extract.sources import Found, Newest, SourceFile
from haulier_extract.sources.written import Written

#: Where such modules lie, in the definitions folder.
FOLDER = "sources"
#: A sample asks for no further row when it has so much.
_SAMPLE_BYTES = 4 * 1024 * 1024


def find(instance: Instance, interval: Interval, settings: Settings) -> Found:
    """All that the function yields.

    Raises `DefinitionError` for a function that is not there, takes something else than one `Asked`, raises, or
    yields what is neither row nor file; what is one of Haulier's errors stays what it is, and a connection that
    cannot be made is a `TransientError`.
    """
    own = _Own.load(instance, settings)
    written, files, waiting = Written("the source yields"), list[SourceFile](), list[str]()
    for item in own.items(interval):
        if isinstance(item, bytes):
            written.add(item)
        else:
            file = own.file(item)
            if isinstance(file, str):
                waiting.append(file)
            else:
                files.append(file)
    if written.size:
        files.append(
            SourceFile(
                uri=own.uri(interval.key),
                logical_name=f"{own.name} {interval.key}",
                sha256=written.sha256,
                bytes=written.size,
                # What is said of an interval has no time of its own.
                modified_at=datetime.now(UTC),
                open=written.chunks,
            )
        )
    names = [file.logical_name for file in files]
    if twice := {name for name in names if names.count(name) > 1}:
        raise DefinitionError(
            f"source {own.name}: two files are called {min(twice)!r}; a name is what a file is known by"
        )
    return Found(
        files=tuple(sorted(files, key=lambda one: (one.modified_at, one.uri))),
        waiting=tuple(sorted(waiting)),
        whole=bool(written.size),
    )


def newest(instance: Instance, interval: Interval, settings: Settings) -> Newest | None:
    """The first rows it yields, or the file modified last. Raises as `find` does."""
    own = _Own.load(instance, settings)
    written, files = Written("the source yields"), list[File]()
    for item in own.items(interval):
        if isinstance(item, File):
            files.append(item)
            continue
        written.add(item)
        if written.size >= _SAMPLE_BYTES:
            break
    if files:
        last = max(files, key=lambda one: (one.modified_at, one.name))
        return Newest(
            uri=own.uri(last.name), name=last.name, modified_at=last.modified_at, open=own.opener(last)
        )
    if not written.size:
        return None
    name = f"{own.name} {interval.key}"
    return Newest(uri=own.uri(interval.key), name=name, modified_at=datetime.now(UTC), open=written.chunks)


def reach(instance: Instance, interval: Interval, settings: Settings) -> None:
    """Ask for the first row or file. Raises as `find` does."""
    next(_Own.load(instance, settings).items(interval), None)


def digest(instance: Instance, settings: Settings) -> str:
    """What the code is, for the manifest."""
    custom = instance.source.custom
    assert custom is not None
    return modules.load([custom.use], settings.definitions / FOLDER, "source.custom.use").digest


@dataclass(frozen=True, kw_only=True)
class _Own:
    """The function of one instance."""

    name: str
    function: Callable[[Asked], Iterable[Mapping[str, Any] | File]]
    instance: Instance
    settings: Settings

    @classmethod
    def load(cls, instance: Instance, settings: Settings) -> _Own:
        custom = instance.source.custom
        assert custom is not None
        (function,) = modules.load([custom.use], settings.definitions / FOLDER, "source.custom.use").functions
        own = cls(name=custom.use, function=function, instance=instance, settings=settings)
        own._check()
        return own

    def uri(self, what: str) -> str:
        return f"custom://{self.name}/{self.instance.instance}/{what}"

    def items(self, interval: Interval) -> Iterator[bytes | File]:
        """Rows as lines of JSON, and files; never both."""
        kinds: set[type] = set()
        for item in self._guarded(lambda: self._called(interval)):
            kinds.add(File if isinstance(item, File) else dict)
            if len(kinds) > 1:
                raise self._wrong("yields rows and files; one of the two is what a source gives")
            if isinstance(item, File):
                yield self._checked(item)
            elif isinstance(item, Mapping):
                yield self._line(item)
            else:
                raise self._wrong(
                    f"yields {type(item).__name__}; it is rows (mappings of column to value) or File"
                )

    def file(self, file: File) -> SourceFile | str:
        """It, read to its end; or why it waits."""
        form, opened = self.instance.source.format, self.opener(file)
        digest, size = hashlib.sha256(), 0

        def read() -> Iterator[bytes]:
            nonlocal size
            for chunk in opened():
                digest.update(chunk)
                size += len(chunk)
                yield chunk

        uri = self.uri(file.name)
        assert self.instance.source.custom is not None
        ready = Ready(last_line=self.instance.source.custom.last_line)
        if why := module_of(form).unfinished(read(), form, ready, uri):
            return f"{uri} waits: {why}"
        return SourceFile(
            uri=uri,
            logical_name=file.name,
            sha256=digest.hexdigest(),
            bytes=size,
            modified_at=file.modified_at.astimezone(UTC),
            open=opened,
        )

    def opener(self, file: File) -> Callable[[], Iterator[bytes]]:
        def opened() -> Iterator[bytes]:
            for chunk in self._guarded(lambda: iter(file.open())):
                if not isinstance(chunk, bytes):
                    raise self._wrong(f"opens {file.name!r} to {type(chunk).__name__}; a file is bytes")
                yield chunk

        return opened

    def _check(self) -> None:
        """It takes what it will be given."""
        try:
            inspect.signature(self.function).bind(object())
        except ValueError:
            return  # built in, without a signature that could be read
        except TypeError as exc:
            shown = f"{self.name.rpartition('.')[2]}{inspect.signature(self.function)}"
            raise self._wrong(
                f"is {shown}; it is called with one argument, what is asked for: def {shown.partition('(')[0]}(asked)"
            ) from exc

    def _called(self, interval: Interval) -> Iterator[Any]:
        custom = self.instance.source.custom
        assert custom is not None
        asked = Asked(
            pipeline=self.instance.pipeline,
            instance=self.instance.instance,
            start=interval.start,
            end=interval.end,
            options=custom.options,
            parameters=self.instance.parameters,
            folder=self.settings.source_root.absolute(),
            _secrets=self.settings.secrets,
        )
        given: Any = self.function(asked)
        if isinstance(given, Mapping | str | bytes) or not isinstance(given, Iterable):
            raise self._wrong(f"returns {type(given).__name__}; it yields rows or files")
        return iter(given)

    def _guarded(self, begin: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        """What a user's iterator gives; what it raises, as one of ours."""
        try:
            yield from begin()
        except HaulierError:
            raise
        except MemoryError:
            raise
        except (ConnectionError, TimeoutError) as exc:
            at = modules.place(self.function, exc)
            raise TransientError(
                f"source {self.name}{at} could not reach what it reads: {type(exc).__name__}"
            ) from exc
        except Exception as exc:  # its text may hold values
            at = modules.place(self.function, exc)
            raise DefinitionError(f"source {self.name}{at} raised {type(exc).__name__}") from exc

    def _checked(self, file: File) -> File:
        named = isinstance(file.name, str) and file.name
        timed = isinstance(file.modified_at, datetime) and file.modified_at.tzinfo is not None
        if not (named and timed and callable(file.open)):
            raise self._wrong("yields a File without a name, a way to open it, or a time with its zone")
        return file

    def _line(self, row: Mapping[str, Any]) -> bytes:
        form = self.instance.source.format
        if not isinstance(form, JsonLines):
            raise self._wrong(f"yields rows, which are written as JSON Lines; remove source.{form.section}")
        if _holds_nan(row):
            raise self._wrong("yields NaN or an infinity, for which JSON has no word; yield None, or text")
        try:
            return _JSON.encode(dict(row)) + b"\n"
        except (TypeError, ValueError, RecursionError) as exc:
            raise self._wrong(f"yields a row that is no JSON: {exc}") from exc

    def _wrong(self, what: str) -> DefinitionError:
        code = getattr(self.function, "__code__", None)
        at = f" ({code.co_filename}, line {code.co_firstlineno})" if code else ""
        return DefinitionError(f"source {self.name}{at} {what}")


def _other(value: object) -> object:
    """Raises `TypeError` for what has no text that everybody would expect."""
    raise TypeError(f"{type(value).__name__} has no form in JSON; make it text or a number")


_JSON = msgspec.json.Encoder(decimal_format="number", enc_hook=_other)


def _holds_nan(value: object) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, Decimal):
        return not value.is_finite()
    if isinstance(value, Mapping):
        return any(map(_holds_nan, value.values()))
    return isinstance(value, list | tuple) and any(map(_holds_nan, value))
