"""An instance's placeholders, filled into its source and its transform."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from haulier.definitions import Transform
from haulier.definitions.formats import Csv
from haulier.definitions.sources import Changes, Source
from haulier.placeholders import fill


def filled_source(source: Source, values: Mapping[str, str]) -> Source:
    # An empty section says what none says: to the definition's digest, too.
    source = msgspec.structs.replace(source, csv=None if source.csv == Csv() and source.files else source.csv)
    if source.http:
        http = source.http
        parameters = {name: fill(text, values) for name, text in http.parameters.items()}
        headers = {name: fill(text, values) for name, text in http.headers.items()}
        http = msgspec.structs.replace(
            http, url=fill(http.url, values), parameters=parameters, headers=headers
        )
        return msgspec.structs.replace(source, http=http)
    if source.custom:
        given = source.custom.options.items()
        options = {name: fill(one, values) if isinstance(one, str) else one for name, one in given}
        return msgspec.structs.replace(source, custom=msgspec.structs.replace(source.custom, options=options))
    if source.sql:
        sql = msgspec.structs.replace(
            source.sql,
            url=fill(source.sql.url, values),
            table=source.sql.table and fill(source.sql.table, values),
            changes=source.sql.changes and _of_one(source.sql.changes, values),
        )
        return msgspec.structs.replace(source, sql=sql)
    files = source.files
    if files is None:
        return source
    marker = files.ready.marker
    ready = msgspec.structs.replace(files.ready, marker=marker and fill(marker, values))
    path, logical_name = fill(files.path, values), fill(files.logical_name, values)
    files = msgspec.structs.replace(files, path=path, logical_name=logical_name, ready=ready)
    return msgspec.structs.replace(source, files=files)


def filled_transform(transform: Transform, values: Mapping[str, str]) -> Transform:
    def said(texts: Mapping[str, str]) -> dict[str, str]:
        return {name: fill(text, values) for name, text in texts.items()}

    unpivot = transform.unpivot
    if unpivot is not None:
        along = {column: said(texts) for column, texts in unpivot.constants.items()}
        unpivot = msgspec.structs.replace(unpivot, constants=along)
    return msgspec.structs.replace(transform, constants=said(transform.constants), unpivot=unpivot)


def _of_one(changes: Changes, values: Mapping[str, str]) -> Changes:
    return msgspec.structs.replace(
        changes, slot=fill(changes.slot, values), publication=fill(changes.publication, values)
    )
