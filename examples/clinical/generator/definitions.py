"""Definitions for a trial's own sites: the example's, with an instance for each site by its convention."""

import json
import shutil
from pathlib import Path
from typing import Any

from generator.conventions import COLUMNS, Convention, convention_of
from generator.events import REMOVAL_THRESHOLD

# What no file may have in it. Columns of tests have names, too, and those are of no person.
IDENTIFIERS = {
    "columns": ["*name*", "initials", "*birth*"],
    "patterns": {"email": r"[\w.+-]+@[\w-]+\.[\w.]+"},
}
# Of sites whose files hold everything so far: whether rows may leave is said of a pipeline, not of a site.
SO_FAR = "_so_far"
EXAMPLE = Path(__file__).resolve().parents[1]


def write_definitions(sites: tuple[str, ...], folder: Path) -> None:
    """A definitions folder that hauls what these sites send."""
    for part in ("contracts", "functions"):
        shutil.copytree(EXAMPLE / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "pipelines").mkdir(parents=True)
    for pipeline in COLUMNS:
        text = (EXAMPLE / "pipelines" / f"{pipeline}.yaml").read_text(encoding="utf-8")
        head = text.partition("\ninstances:\n")[0]
        for name in (pipeline, pipeline + SO_FAR):
            # JSON is YAML: one line a site.
            lines = [
                f'  "{site}": {json.dumps(_instance(pipeline, convention_of(site)), ensure_ascii=False)}\n'
                for site in sites
                if name == pipeline_of(pipeline, site)
            ]
            if lines:
                (folder / "pipelines" / f"{name}.yaml").write_text(
                    f"{_named(head, name)}\ninstances:\n{''.join(lines)}", encoding="utf-8"
                )


def pipeline_of(pipeline: str, site: str) -> str:
    """The name of the pipeline that hauls what a site sends."""
    return pipeline + SO_FAR if convention_of(site).cumulative else pipeline


def _named(head: str, name: str) -> str:
    if not name.endswith(SO_FAR):
        return head
    pipeline = name.removesuffix(SO_FAR)
    return (
        head.replace(f"pipeline: {pipeline}\n", f"pipeline: {name}\n")
        .replace("    look_back_days:", "    content: cumulative\n    look_back_days:")
        .replace("  reject_threshold:", f"  removal_threshold: {REMOVAL_THRESHOLD}\n  reject_threshold:")
    )


def _instance(pipeline: str, convention: Convention) -> dict[str, Any]:
    files: dict[str, Any] = {}
    csv: dict[str, Any] = {"encoding": convention.encoding, "delimiter": convention.delimiter}
    transform: dict[str, Any] = {"decimal_mark": convention.decimal}
    source: dict[str, Any] = {"csv": csv, "identifiers": IDENTIFIERS}
    instance: dict[str, Any] = {"source": source, "transform": transform}
    if pipeline in convention.compressed:
        files["path"] = "{instance}/*/*" + pipeline + "_*.csv.gz"
    if convention.preamble:
        csv["preamble_rows"] = len(convention.preamble)
    if convention.labels:
        csv["header_rows"] = 2
    if convention.footer is not None:
        before, _, after = convention.footer.partition("{rows}")
        csv["footer"] = {"pattern": f"{_literal(before)}([0-9]+){_literal(after)}"}
    if files:
        source["files"] = files
    if pipeline == "labs":
        instance["parameters"] = {"decimal_mark": convention.decimal}
        transform["time_zone"] = convention.timezone
        # Its other aliases the contract approves itself.
        transform["columns"] = {
            alias: "result" for column, alias in convention.aliases.items() if column == "RESULT"
        }
    else:
        transform["date_formats"] = {"visit_date": [convention.vitals_date]}
    return instance


def _literal(text: str) -> str:
    return "".join(f"[{character}]" if character in "()" else character for character in text)
