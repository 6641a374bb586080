"""Deliveries searched for direct identifiers, before a byte of any of them is kept.

What is searched is what is kept: a file that is read again for its copy has to be the one that was searched, piece by
piece. Text is searched as it streams; workbooks and Parquet, which are read from anywhere, from an unnamed temporary
file, of which nothing is left however the process ends. docs/adr/0018.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import IO, cast

from haulier.definitions import Instance
from haulier.definitions.formats import Excel, Parquet
from haulier.errors import DataError
from haulier.exchange import Exchange
from haulier.ledger.refusals import Refusal
from haulier.logs import log
from haulier.manifest import Delivery
from haulier.settings import Settings
from haulier_extract.clearing.reading import search_all
from haulier_extract.clearing.searching import Finding, Search
from haulier_extract.sources import SourceFile, Vanished

_PIECE_BYTES = 1024 * 1024
#: A name is searched like a cell; where it is one itself it is not repeated.
_NAME = "the file's name"


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A file that is not kept, and why."""

    file: SourceFile
    findings: tuple[Finding, ...]

    @property
    def is_named(self) -> bool:
        """Whether its name may be told."""
        return not any(finding.place == _NAME for finding in self.findings)

    @property
    def facts(self) -> list[dict[str, object]]:
        return [{"pattern": one.pattern, "place": one.place, "rows": one.count} for one in self.findings]

    def on_record(self) -> Refusal:
        """As the ledger holds it."""
        return Refusal(
            uri=self.file.uri if self.is_named else None,
            sha256=self.file.sha256,
            bytes=self.file.bytes,
            modified_at=self.file.modified_at,
            findings=self.facts,
        )

    @property
    def shown(self) -> str:
        return self.file.uri if self.is_named else f"the file with SHA-256 {self.file.sha256}"


def cleared(
    files: Iterable[SourceFile], instance: Instance, settings: Settings
) -> tuple[list[SourceFile], list[str], list[Refused]]:
    """The files with nothing in them that may not be there, to be kept as they were searched; why others wait; the others.

    Raises `DataError` for a file that cannot be read.
    """
    clear, waiting, refused = [], [], []
    for file in files:
        seen = _Seen(file)
        try:
            findings = search(file, instance, settings, seen)
        except _Changed:
            waiting.append(f"{file.uri} waits: it was written to while it was read")
            continue
        except Vanished:
            waiting.append(f"{file.uri} waits: it vanished before it could be searched")
            continue
        if findings:
            refused.append(Refused(file=file, findings=findings))
        else:
            clear.append(replace(file, open=seen.again))
    return clear, waiting, refused


def search(
    file: SourceFile, instance: Instance, settings: Settings, seen: _Seen | None = None
) -> tuple[Finding, ...]:
    """What is found in a file, its name included. Raises what its reader raises, and `Vanished`."""
    identifiers, form = instance.source.identifiers, instance.source.format
    assert identifiers is not None
    looking = Search(identifiers)
    if instance.source.files or instance.source.custom:
        for name in (file.uri.rpartition("/")[2], file.logical_name):
            looking.text(name, _NAME)
    original = _AtSource(file, seen or _Seen(file), whole=isinstance(form, (Excel, Parquet)))
    with original:
        # Readers only read: what they are given is none of the stores, and has their answers.
        search_all(looking, cast(Exchange, original), original.delivery, form, settings)
    return looking.findings


def refusal(refused: list[Refused]) -> DataError:
    """What is said of files that are not kept: where it is, never what it is."""
    for one in refused:
        facts = {"file": one.shown, "sha256": one.file.sha256, "found": one.facts}
        log.error("delivery refused", extra={"facts": facts})
    told = "; ".join(f"{one.shown} has {', '.join(f.words() for f in one.findings)}" for one in refused)
    return DataError(
        f"refused before anything was kept (source.identifiers): {told}. Ask for the file without that, under the same name "
        "or another, and take this one away; or exempt the column if it is none. The run's other files wait until then",
        refused=len(refused),
    )


class _Changed(Exception):
    """A file is not what it was when it was found, or searched."""


class _Seen:
    """A file that is read more than once: each time the same, as far as it was read before, or not at all."""

    def __init__(self, file: SourceFile) -> None:
        self._file = file
        self._digests: list[bytes] = []

    def chunks(self) -> Iterator[bytes]:
        """All of it. Raises `_Changed` and `Vanished`."""
        whole = hashlib.sha256()
        for at, piece in enumerate(_pieces(self._file.open())):
            digest = hashlib.sha256(piece).digest()
            if at == len(self._digests):
                self._digests.append(digest)
            elif self._digests[at] != digest:
                raise _Changed
            whole.update(piece)
            yield piece
        if whole.hexdigest() != self._file.sha256:
            raise _Changed

    def again(self) -> Iterator[bytes]:
        """What was searched; it ends early where the file is another now, so that its digest is wrong."""
        for piece, digest in zip(_pieces(self._file.open()), self._digests, strict=False):
            if hashlib.sha256(piece).digest() != digest:
                return
            yield piece


def _pieces(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, in pieces that do not depend on how they came."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= _PIECE_BYTES:
            yield bytes(held[:_PIECE_BYTES])
            del held[:_PIECE_BYTES]
    if held:
        yield bytes(held)


class _AtSource:
    """A file that is still at its source only, in the place of an exchange that has it."""

    url = "the source"

    def __init__(self, file: SourceFile, seen: _Seen, *, whole: bool) -> None:
        self._seen, self._whole = seen, whole
        self._copy: IO[bytes] | None = None
        self.delivery = Delivery(
            delivery_id=0,
            logical_name=file.logical_name,
            sequence=1,
            sha256=file.sha256,
            bytes=file.bytes,
            uri=file.uri,
            modified_at=file.modified_at,
            original="original",
        )

    def __enter__(self) -> None:
        if self._whole:
            self._copy = tempfile.TemporaryFile()
            for chunk in self._seen.chunks():
                self._copy.write(chunk)

    def __exit__(self, *_: object) -> None:
        if self._copy is not None:
            self._copy.close()

    def stream(self, _key: str, _chunk_bytes: int = 0) -> Iterator[bytes]:
        if self._copy is None:
            yield from self._seen.chunks()
            return
        at = 0
        while piece := self.piece("", at, at + _PIECE_BYTES):
            at += len(piece)
            yield piece

    def piece(self, _key: str, start: int, stop: int) -> bytes:
        assert self._copy is not None, "text is read from its beginning"
        self._copy.seek(start)
        return self._copy.read(stop - start)

    def get(self, _key: str) -> bytes:
        return b"".join(self.stream(""))

    def size(self, _key: str) -> int:
        return self.delivery.bytes
