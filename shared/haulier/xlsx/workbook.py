"""What a workbook's packing says: which sheet lies where, its texts, and which numbers are dates."""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from xml.parsers import expat

from haulier.compression import check_entries, check_growth
from haulier.definitions.formats import Excel
from haulier.errors import DataError
from haulier.problems import listed, quoted
from haulier.xlsx.cells import Style, style_of, unescaped

#: Read and parsed at once.
_PIECE_BYTES = 64 * 1024
#: A tag longer than this is held by the parser as a whole; Excel's have some hundred bytes.
_TAG_BYTES = 8 * 1024 * 1024
#: A text in memory takes its characters and about so much more.
_TEXT_BYTES = 64

#: local name of a tag, its attributes by local name.
Start = Callable[[str, dict[str, str]], None]


class Workbook:
    """A workbook whose sheets can be opened. Everything it raises of its bytes is `DataError`."""

    def __init__(self, file: Any, form: Excel, name: str) -> None:
        self._name, self._form = name, form
        with self._door():
            self._zip = zipfile.ZipFile(io.BufferedReader(file, 256 * 1024))
        check_entries(len(self._zip.infolist()), form, name)
        self.from_1904 = False
        self._sheets: list[tuple[str, str]] = []
        main = next(iter(self._related("", "officeDocument").values()), "xl/workbook.xml")
        self._parse(main, self._in_workbook)
        self._folder = posixpath.dirname(main)
        self._targets = self._related(main, "")
        self.styles = self._read_styles(self._one(main, "styles"))
        self.texts = self._read_texts(self._one(main, "sharedStrings"))

    def sheet(self) -> str:
        """Where the sheet lies that the definition names."""
        names = self.sheets
        chosen = self._form.sheet
        at = names.index(chosen) if chosen in names else chosen - 1 if isinstance(chosen, int) else -1
        if not 0 <= at < len(names):
            raise DataError(
                f"{self._name} has no sheet {quoted(chosen)} (source.excel.sheet); its sheets are "
                f"{listed(names, 'and') if names else 'none'}"
            )
        return self._targets.get(self._sheets[at][1], "")

    @property
    def sheets(self) -> list[str]:
        """The names of all sheets, hidden ones among them."""
        return [name for name, _ in self._sheets]

    def beside(self) -> Iterator[str]:
        """The texts that no sheet has in a cell: comments, headings of pages, properties, texts that no cell refers to."""
        yield from self.texts
        cells = {self._targets.get(entry, "") for _, entry in self._sheets}
        for entry in self._zip.namelist():
            if entry not in cells and entry.endswith((".xml", ".vml")):
                yield from self._texts_in(entry)

    def _texts_in(self, entry: str) -> Iterator[str]:
        """The texts of a file, one per element; runs (`t`) of one text that are formatted differently are one."""
        found: list[str] = []
        held: list[str] = []
        own = False

        def start(_tag: str, _given: dict[str, str]) -> None:
            nonlocal own
            own = False

        def text(data: str) -> None:
            nonlocal own
            own = True
            held.append(data)
            if sum(map(len, held)) > _TAG_BYTES:
                raise DataError(f"{self._name} has a text of more than {_TAG_BYTES} characters in {entry}")

        def end(tag: str) -> None:
            nonlocal own
            if held and (tag in ("comment", "p") or (own and tag != "t")):
                found.append("".join(held))
                held.clear()
            own = False

        for _ in self.parsing(entry, new_parser(start, end, text)):
            texts, found[:] = list(found), []
            yield from texts
        yield "".join(held)

    def pieces(self, entry: str) -> Iterator[bytes]:
        """A file of the workbook, unpacked: no further than it may honestly grow."""
        with self._door():
            packed = self._zip.getinfo(entry).compress_size
            size = 0
            with self._zip.open(entry) as file:
                while piece := file.read(_PIECE_BYTES):
                    size += len(piece)
                    check_growth(size, packed, self._form, self._name)
                    yield piece

    def parsing(self, entry: str, parser: Any) -> Iterator[None]:
        """Feed a file to a parser, a piece at a time; what a piece completed is there after each step."""
        parser.StartDoctypeDeclHandler = self._no_doctype
        fed = 0
        for piece in self.pieces(entry):
            with self._door():
                parser.Parse(piece, False)
            fed += len(piece)
            if fed - parser.CurrentByteIndex > _TAG_BYTES:
                raise DataError(f"{self._name} has a tag of more than {_TAG_BYTES} bytes in {entry}")
            yield
        with self._door():
            parser.Parse(b"", True)
        yield

    def _parse(
        self, entry: str, start: Start, end: Callable[[str], None] | None = None, text: Any = None
    ) -> None:
        parser = new_parser(start, end, text)
        for _ in self.parsing(entry, parser):
            pass

    def _no_doctype(self, *_: object) -> None:
        raise DataError(f"{self._name} declares a document type, which no workbook does; it is not read")

    def _in_workbook(self, tag: str, given: dict[str, str]) -> None:
        if tag == "workbookPr":
            self.from_1904 = given.get("date1904") in ("1", "true")
        elif tag == "sheet":
            self._sheets.append((given.get("name", ""), given.get("id", "")))

    def _related(self, entry: str, kind: str) -> dict[str, str]:
        """id -> path of the files that one refers to, of one kind or all."""
        folder, name = posixpath.split(entry)
        found: dict[str, str] = {}

        def start(tag: str, given: dict[str, str]) -> None:
            if tag == "Relationship" and given.get("Type", "").endswith(kind):
                path = posixpath.join("/", folder, given.get("Target", ""))
                found[given.get("Id", "")] = posixpath.normpath(path).lstrip("/")

        rels = posixpath.join(folder, "_rels", f"{name}.rels")
        if rels in self._zip.NameToInfo:
            self._parse(rels, start)
        return found

    def _one(self, entry: str, kind: str) -> str | None:
        return next(iter(self._related(entry, f"/{kind}").values()), None)

    def _read_styles(self, entry: str | None) -> list[Style]:
        """What each style of cells shows."""
        codes: dict[int, str] = {}
        numbers: list[int] = []
        inside = False

        def start(tag: str, given: dict[str, str]) -> None:
            nonlocal inside
            if tag == "numFmt":
                codes[int(given.get("numFmtId", "0"))] = given.get("formatCode", "")
            elif tag == "cellXfs":
                inside = True
            elif tag == "xf" and inside:
                numbers.append(int(given.get("numFmtId", "0")))

        def end(tag: str) -> None:
            nonlocal inside
            inside = inside and tag != "cellXfs"

        if entry:
            with self._door():
                self._parse(entry, start, end)
        return [style_of(number, codes.get(number)) for number in numbers]

    def _read_texts(self, entry: str | None) -> list[str]:
        texts: list[str] = []
        held: list[str] = []
        size = 0
        wanted = phonetic = False

        def start(tag: str, given: dict[str, str]) -> None:
            nonlocal wanted, phonetic
            phonetic = phonetic or tag == "rPh"
            wanted = tag == "t" and not phonetic

        def end(tag: str) -> None:
            nonlocal wanted, phonetic, size
            wanted = False
            if tag == "rPh":
                phonetic = False
            elif tag == "si":
                texts.append(unescaped("".join(held)))
                held.clear()
                size += _TEXT_BYTES

        def text(data: str) -> None:
            nonlocal size
            if wanted:
                held.append(data)
                size += len(data) * (1 if data.isascii() else 4)
                if size > self._form.shared_bytes:
                    raise DataError(
                        f"the texts of {self._name} take more than {self._form.shared_bytes} bytes "
                        "(source.excel.shared_bytes); allow more and give extract the memory, or send CSV"
                    )

        if entry:
            self._parse(entry, start, end, text)
        return texts

    @contextmanager
    def _door(self) -> Iterator[None]:
        """What the libraries say of bytes that are no workbook leaves as one of ours."""
        try:
            yield
        except (
            *(zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, RuntimeError),
            *(NotImplementedError, OverflowError, OSError, expat.ExpatError),
        ) as exc:
            raise DataError(
                f"{self._name} is no workbook (.xlsx), or damaged ({type(exc).__name__}); ask for it again"
            ) from exc


def new_parser(start: Start, end: Callable[[str], None] | None = None, text: Any = None) -> Any:
    """A parser that calls with local names: prefixes are the writer's choice."""
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def started(tag: str, given: dict[str, str]) -> None:
        start(tag.rpartition(":")[2], {name.rpartition(":")[2]: value for name, value in given.items()})

    parser.StartElementHandler = started
    if end is not None:
        parser.EndElementHandler = lambda tag: end(tag.rpartition(":")[2])
    if text is not None:
        parser.CharacterDataHandler = text
    return parser
