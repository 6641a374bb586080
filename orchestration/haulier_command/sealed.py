"""What the exchange still holds of a load: its manifest, its canonical rows, and the files it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from haulier.errors import HaulierError

if TYPE_CHECKING:
    from haulier.definitions.formats import Format
    from haulier.exchange import Exchange
    from haulier.keys import RunKeys
    from haulier.manifest import Delivery, Manifest
    from haulier.settings import Settings
    from haulier_command.ledger import Row


class Sealed:
    """Reads the exchange once per object; what retention removed is simply not there."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._exchange: Exchange | None = None
        self._manifests: dict[RunKeys, Manifest | None] = {}

    @property
    def exchange(self) -> Exchange:
        from haulier.exchange import open_exchange

        if self._exchange is None:
            self._exchange = open_exchange(self.settings)
        return self._exchange

    def manifest(self, load: Row) -> Manifest | None:
        """What transform sealed for a load, if it is still there and whole.

        ``load`` names the run: pipeline, instance, interval_start, interval_end, generation, replay_id.
        """
        from haulier.errors import DataError
        from haulier.exchange import ObjectMissing
        from haulier.interval import Interval
        from haulier.keys import RunKeys
        from haulier.sealing import read_manifest

        if load.get("generation") is None:
            return None
        keys = RunKeys(
            pipeline=load["pipeline"],
            instance=load["instance"],
            interval=Interval(start=load["interval_start"], end=load["interval_end"]),
            content=f"r{load['replay_id']}" if load["replay_id"] else f"g{load['generation']}",
        )
        if keys not in self._manifests:
            try:
                self._manifests[keys] = read_manifest(self.exchange, keys, "transform")
            except (ObjectMissing, DataError):
                self._manifests[keys] = None
        return self._manifests[keys]

    def format(self, load: Row) -> Format:
        """How a load's deliveries were read; when its manifest is gone, how they would be read now."""
        from haulier import loading
        from haulier.definitions.formats import Csv

        if manifest := self.manifest(load):
            return manifest.definition.source.format
        try:
            file = loading.load_pipeline(self.settings.definitions, load["pipeline"])
            return loading.resolve_instance(file, load["instance"], load["interval_start"]).source.format
        except HaulierError:
            return Csv()

    def line(self, delivery: Delivery, form: Format, row: int) -> bytes:
        """One row of a kept original, verbatim.

        Raises `ObjectMissing` when the original is gone, `DataError` when it is damaged or has no such row.
        """
        from haulier.originals import VerbatimRows

        return VerbatimRows(self.exchange, delivery, form).take([row])[0]

    def outputs(self, manifest: Manifest, delivery_id: int, row: int) -> list[dict[str, Any]] | None:
        """The canonical rows one source row became; None when their parts are gone."""
        import pyarrow.compute as pc

        from haulier.errors import DataError
        from haulier.exchange import ObjectMissing
        from haulier.parts import row_groups
        from haulier.rows import DELIVERY, ROW

        place = next((n for n, d in enumerate(manifest.deliveries) if d.delivery_id == delivery_id), None)
        mine = (pc.field(DELIVERY) == place) & (pc.field(ROW) == row)
        try:
            groups = row_groups(self.exchange, manifest.parts)
            return [output for group in groups for output in group.filter(mine).to_pylist()]
        except (ObjectMissing, DataError):
            return None


def delivery_of(row: Row) -> Delivery:
    """A delivery as the ledger's columns have it."""
    from haulier.manifest import Delivery

    names = ("delivery_id", "sequence", "sha256", "bytes", "uri", "modified_at", "original")
    return Delivery(logical_name=row["file"], **{name: row[name] for name in names})


def text_of(verbatim: bytes, encoding: str) -> tuple[str, bool]:
    """Verbatim bytes as text, and whether all of them were; replacement marks stand where not."""
    from haulier.encodings import cell_encoding

    try:
        cells = cell_encoding(encoding)
    except HaulierError:
        cells = "utf-8"
    try:
        return verbatim.decode(cells), True
    except UnicodeDecodeError:
        return verbatim.decode(cells, errors="replace"), False
