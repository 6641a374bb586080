"""Definitions for a trial's own sites: those of `examples/clinical/sdtm`, as a trial copies them, with a line a site."""

import json
import re
import shutil
from datetime import date
from pathlib import Path
from typing import Any

from generator.conventions import IMPERIAL, MEASURES, Convention, convention_of
from generator.events import REJECT_THRESHOLD, REMOVAL_THRESHOLD
from generator.trial import Trial

# What no file may have in it. Columns of tests have names, too, and those are of no person.
IDENTIFIERS = {
    "columns": ["*name*", "initials", "*birth*"],
    "patterns": {"email": r"[\w.+-]+@[\w-]+\.[\w.]+"},
}
# Of sites whose files hold everything so far: whether rows may leave is said of a pipeline, not of a site.
SO_FAR = "_so_far"
EXAMPLE = Path(__file__).resolve().parents[1]
SDTM = EXAMPLE / "sdtm"
DOMAINS = {"vitals": "vs", "labs": "lb"}
# Columns of the contracts that no site of this trial sends, and the one that the laboratories send beside.
_NOT_SENT = {
    *("collected_visitnum", "collected_specimen", "collected_operator", "collected_range", "collected_time"),
    *("collected_timepoint", "collected_status", "lbcat", "lbmethod", "lbloinc", "vsloc", "vsreasnd"),
    "collected_sex",
}
_NOT_SENT_OF = {"vitals": {*_NOT_SENT, "collected_test"}, "labs": _NOT_SENT}
_COMMENT = """
      - name: comment
        logicalType: string
        description: The laboratory's remark. Free text, so it may name anyone.
        classification: restricted
        customProperties:
          - {property: nullValues, value: [""]}
"""
# The visits, which no plan says the days of: a later one is called by its number.
_VISITS = "visit,visitnum,visitdy,synonyms\nSCREENING,1,-1,\nBASELINE,2,1,\nDAY *,,,\n"


def write_definitions(trial: Trial, folder: Path) -> None:
    """A definitions folder that hauls what a trial's sites send."""
    shutil.copytree(SDTM / "references", folder / "references")
    (folder / "references" / "visits.csv").write_text(_VISITS, encoding="utf-8", newline="\n")
    (folder / "contracts").mkdir()
    (folder / "pipelines").mkdir()
    for pipeline, domain in DOMAINS.items():
        contract = (SDTM / "contracts" / f"{domain}.odcs.yaml").read_text(encoding="utf-8")
        (folder / "contracts" / f"{domain}.odcs.yaml").write_text(
            _contract(pipeline, contract), encoding="utf-8", newline="\n"
        )
        for name in (pipeline, pipeline + SO_FAR):
            instances = {
                site: _instance(pipeline, convention_of(site), trial.changed_on(site))
                for site in trial.sites
                if name == pipeline_of(pipeline, site)
            }
            if instances:
                (folder / "pipelines" / f"{name}.yaml").write_text(
                    _yaml(_pipeline(pipeline, name), instances), encoding="utf-8", newline="\n"
                )


def pipeline_of(pipeline: str, site: str) -> str:
    """The name of the pipeline that hauls what a site sends."""
    return pipeline + SO_FAR if convention_of(site).cumulative else pipeline


def _contract(pipeline: str, text: str) -> str:
    """The example's, without what no site sends."""
    blocks = re.split(r"(?m)^(?=      - name: )", text)
    kept = [block for block in blocks if block.split("\n")[0].split()[-1] not in _NOT_SENT_OF[pipeline]]
    if pipeline == "labs":
        kept.insert(-1, _COMMENT.lstrip("\n") + "\n")
    return "".join(kept)


def _pipeline(pipeline: str, name: str) -> dict[str, Any]:
    """What all sites have in common."""
    domain, is_so_far = DOMAINS[pipeline], name.endswith(SO_FAR)
    files = {"path": "{instance}/*/*" + pipeline + "_*.csv", "select": "modified", "look_back_days": 3}
    constants = {"siteid": "{instance}"}
    references = ["tests", "units", "conversions", "words", "visits"]
    if pipeline == "labs":
        constants |= {"lbreasnd": "", "lbspccnd": ""}  # the functions say both
    else:
        references.append("limits")
    return {
        "pipeline": name,
        "contract": f"../contracts/{domain}.odcs.yaml",
        "schedule": "@daily",
        "start": "2026-01-05",
        "source": {"files": {**files, "content": "cumulative"} if is_so_far else files},
        "transform": {
            "constants": constants,
            "functions": [f"haulier_clinical.{domain}"],
            "references": {each: f"../references/{each}.csv" for each in references},
        },
        "load": {
            "mode": "upsert",
            "reject_threshold": REJECT_THRESHOLD,
            **({"removal_threshold": REMOVAL_THRESHOLD} if is_so_far else {}),
        },
    }


def _instance(pipeline: str, convention: Convention, changed_on: date | None) -> dict[str, Any]:
    csv: dict[str, Any] = {"encoding": convention.encoding, "delimiter": convention.delimiter}
    source: dict[str, Any] = {"csv": csv, "identifiers": IDENTIFIERS}
    if pipeline in convention.compressed:
        source["files"] = {"path": "{instance}/*/*" + pipeline + "_*.csv.gz"}
    if convention.preamble:
        csv["preamble_rows"] = len(convention.preamble)
    if convention.labels:
        csv["header_rows"] = 2
    if convention.footer is not None:
        before, _, after = convention.footer.partition("{rows}")
        csv["footer"] = {"pattern": f"{_literal(before)}([0-9]+){_literal(after)}"}
    instance = {
        "source": source,
        "transform": _transform(pipeline, convention),
        "parameters": _parameters(pipeline, convention),
    }
    if changed_on is not None:
        instance["changes"] = [_change(pipeline, convention, changed_on)]
    return instance


def _change(pipeline: str, convention: Convention, since: date) -> dict[str, Any]:
    """What is different once the site's export has changed."""
    later = convention.later
    return {
        "since": since.isoformat(),
        "source": {"csv": {"encoding": later.encoding, "delimiter": later.delimiter}},
        "transform": {
            "columns": {**dict.fromkeys(_columns(pipeline, convention), None), **_columns(pipeline, later)}
        },
        "parameters": _parameters(pipeline, later),
    }


def _parameters(pipeline: str, convention: Convention) -> dict[str, str]:
    dates = {"date_formats": convention.vitals_date} if pipeline == "vitals" else {}
    return {"decimal_mark": convention.decimal, **dates}


def _columns(pipeline: str, convention: Convention) -> dict[str, str]:
    """Names that the contract does not approve itself."""
    if pipeline == "vitals":
        return {convention.aliases.get("VISIT_DATE", "VISIT_DATE"): "collected_date"}
    return {alias: "collected_result" for name, alias in convention.aliases.items() if name == "RESULT"}


def _transform(pipeline: str, convention: Convention) -> dict[str, Any]:
    if pipeline == "labs":
        return {"columns": _columns(pipeline, convention)}
    units = {
        measure.test: IMPERIAL[column].unit if convention.imperial and column in IMPERIAL else measure.unit
        for column, measure in MEASURES.items()
        if column in convention.columns(pipeline)
    }
    columns = dict(
        zip(convention.columns(pipeline), convention.header(convention.columns(pipeline)), strict=True)
    )
    return {
        "columns": _columns(pipeline, convention),
        "unpivot": {
            "columns": {columns[name]: measure.test for name, measure in MEASURES.items() if name in columns},
            "names_to": "collected_code",
            "values_to": "collected_result",
            # Nothing in the file says its units.
            "constants": {"collected_unit": units},
        },
    }


def _yaml(pipeline: dict[str, Any], instances: dict[str, dict[str, Any]]) -> str:
    """JSON is YAML: a line a section, and a line a site."""
    lines = [f"{name}: {_json(value)}\n" for name, value in pipeline.items()]
    lines += ["instances:\n", *(f'  "{site}": {_json(said)}\n' for site, said in instances.items())]
    return "".join(lines)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _literal(text: str) -> str:
    return "".join(f"[{character}]" if character in "()" else character for character in text)
