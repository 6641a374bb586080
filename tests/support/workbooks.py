"""Workbooks as Excel saves them, from the XML of their cells: what no library would write can be in them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

from haulier.xlsx.cells import number_text

_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATED = "http://schemas.openxmlformats.org/package/2006/relationships"


def workbook(
    *sheets: str,
    texts: Sequence[str] = (),
    formats: Sequence[str | int] = (),
    names: Sequence[str] = ("Data", "Second", "Third"),
    from_1904: bool = False,
    **files: str,
) -> bytes:
    """Sheets are the XML inside ``sheetData``; style ``n`` of a cell shows ``formats[n - 1]``.

    ``files`` replaces whole files, ``sheet1="<x/>"`` the first sheet's.
    """
    codes = [(164 + at, code) for at, code in enumerate(formats) if isinstance(code, str)]
    numbers = [code if isinstance(code, int) else 164 + at for at, code in enumerate(formats)]
    entries = {
        "_rels/.rels": _rels([("rId1", "officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": f'<workbook {_MAIN} xmlns:r="{_OFFICE}"><workbookPr{" date1904=" + chr(34) + "1" + chr(34) if from_1904 else ""}/>'
        + "<sheets>"
        + "".join(
            f'<sheet name="{names[at]}" sheetId="{at + 1}" r:id="rId{at + 1}"/>' for at in range(len(sheets))
        )
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": _rels(
            [
                *(
                    (f"rId{at + 1}", "worksheet", f"worksheets/sheet{at + 1}.xml")
                    for at in range(len(sheets))
                ),
                ("rId98", "styles", "styles.xml"),
                ("rId99", "sharedStrings", "/xl/sharedStrings.xml"),
            ]
        ),
        "xl/styles.xml": f"<styleSheet {_MAIN}><numFmts>"
        + "".join(f'<numFmt numFmtId="{number}" formatCode="{code}"/>' for number, code in codes)
        + '</numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs><xf numFmtId="0"/>'
        + "".join(f'<xf numFmtId="{number}"/>' for number in numbers)
        + "</cellXfs></styleSheet>",
        "xl/sharedStrings.xml": f"<sst {_MAIN}>" + "".join(f"<si>{text}</si>" for text in texts) + "</sst>",
        **{
            f"xl/worksheets/sheet{at + 1}.xml": f"<worksheet {_MAIN}><sheetData>{sheet}</sheetData></worksheet>"
            for at, sheet in enumerate(sheets)
        },
    }
    for name, content in files.items():
        entries["xl/worksheets/sheet1.xml" if name == "sheet1" else f"xl/{name}.xml"] = content
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return sink.getvalue()


def row(number: int, *cells: str) -> str:
    return f'<row r="{number}">{"".join(cells)}</row>'


def inline(*texts: str) -> str:
    return "".join(f'<c t="inlineStr"><is><t>{text}</t></is></c>' for text in texts)


def value(stored: str, style: int = 0, kind: str = "n") -> str:
    return f'<c s="{style}" t="{kind}"><v>{stored}</v></c>'


def shown(rows: Sequence[Sequence[Any]]) -> list[tuple[str | None, ...]]:
    """Rows of Python's values as Excel shows them; one without any is none."""
    found = [tuple(_shown(one) for one in line) for line in rows]
    return [line for line in found if any(one is not None for one in line)]


def _shown(given: Any) -> str | None:
    if given is None or isinstance(given, str):
        return given
    if isinstance(given, bool):
        return str(given).upper()
    return number_text(repr(given), "number", from_1904=False)


def _rels(related: Sequence[tuple[str, str, str]]) -> str:
    links = "".join(
        f'<Relationship Id="{name}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for name, kind, target in related
    )
    return f'<Relationships xmlns="{_RELATED}">{links}</Relationships>'
