"""CDISC CORE: the published conformance rules, run by CDISC's own engine over the exported files."""

from __future__ import annotations

import contextlib
import gzip
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from haulier_clinical.judging.findings import Finding, JudgeError, Severity, Unrun, Verdict
from haulier_clinical.references import table

NAME = "CDISC CORE"
_EXAMPLES = 3
#: SDTMIG's class of each domain that can be exported.
_CLASSES = {"Special Purpose": ("DM",), "Findings": ("VS", "LB")}


def judge(paths: Sequence[Path], rules_file: Path) -> Verdict:
    """Apply every rule. Raises `JudgeError` for rules that cannot be read."""
    rules = _read_rules(rules_file)
    engine, status_of = _engine([path.absolute() for path in paths])
    passed, findings, unrun = 0, [], []
    # The engine finds the schema of Dataset-JSON by a path from where it is installed, and some of it prints.
    with contextlib.chdir(_home()), contextlib.redirect_stdout(sys.stderr):
        for rule in rules:
            results = [one for many in engine.validate_single_rule(rule).values() for one in many]
            found = findings_of(rule, results)
            findings += found
            if found:
                continue
            if status_of(results) == "success" and not any(
                one["executionStatus"] == "issue reported" for one in results
            ):
                passed += 1
            else:
                unrun.append(Unrun(rule=rule["core_id"], reason=reason_of(results)))
    return Verdict(judge=NAME, passed=passed, findings=findings, unrun=unrun)


def judge_schema(paths: Sequence[Path]) -> Verdict:
    """The JSON Schema of Dataset-JSON 1.1, as CDISC publishes it with its engine."""
    import jsonschema

    schema = json.loads((_home() / "resources/schema/dataset.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(schema)(schema)
    findings = []
    for path in paths:
        errors = list(validator.iter_errors(json.loads(path.read_text(encoding="utf-8"))))
        if errors:
            findings.append(
                Finding(
                    judge="Dataset-JSON 1.1",
                    rule="schema",
                    domain=path.stem.upper(),
                    severity="error",
                    count=len(errors),
                    says="is not what the standard's schema describes",
                    examples=tuple(error.message for error in errors[:_EXAMPLES]),
                )
            )
    return Verdict(judge="Dataset-JSON 1.1", passed=len(paths) - len(findings), findings=findings)


def _home() -> Path:
    import cdisc_rules_engine

    return Path(cdisc_rules_engine.__file__).parent.parent


def _read_rules(path: Path) -> list[dict[str, Any]]:
    try:
        data = path.read_bytes()
        rules = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
        return sorted(rules, key=lambda rule: str(rule["core_id"]))
    except (OSError, EOFError, ValueError, KeyError, TypeError) as exc:
        raise JudgeError(
            f"--core-rules {path}: is no JSON list of CORE rules ({type(exc).__name__}: {exc}); the wheel has none, they are in "
            "resources/cache of cdisc-org/cdisc-rules-engine"
        ) from exc


def _engine(paths: Sequence[Path]) -> tuple[Any, Any]:
    """The engine over some files, and what says how a rule ended."""
    from cdisc_rules_engine.config import config
    from cdisc_rules_engine.models.library_metadata_container import LibraryMetadataContainer
    from cdisc_rules_engine.rules_engine import RulesEngine
    from cdisc_rules_engine.services import logger
    from cdisc_rules_engine.services.cache import InMemoryCacheService
    from cdisc_rules_engine.services.data_readers import DataReaderFactory
    from cdisc_rules_engine.services.data_services import DataServiceFactory
    from cdisc_rules_engine.utilities.utils import get_execution_status

    logger.setLevel("critical")
    DataReaderFactory.register_service("JSON", _reader())
    shared: dict[str, Any] = {
        "standard": "sdtmig",
        "standard_version": "3-4",
        "library_metadata": LibraryMetadataContainer(**_library()),
        "max_dataset_size": 0,
    }
    cache = InMemoryCacheService()
    shown = [str(path) for path in paths]
    with contextlib.chdir(_home()):
        service = DataServiceFactory(config=config, cache_service=cache, **shared).get_data_service(shown)
        engine = RulesEngine(
            cache=cache,
            data_service=service,
            config_obj=config,
            dataset_paths=shown,
            ct_packages=[],
            **shared,
        )
    return engine, get_execution_status


def _reader() -> Any:
    """The engine's reader of Dataset-JSON, taught that a decimal is a number written as text (targetDataType)."""
    from cdisc_rules_engine.services.data_readers.dataset_json_reader import DatasetJSONReader

    class DecimalReader(DatasetJSONReader):  # type: ignore[misc]  # the engine carries no types
        def _raw_dataset_from_file(self, file_path: str) -> pd.DataFrame:
            frame: pd.DataFrame = super()._raw_dataset_from_file(file_path)
            for column in self.read_json_file(file_path)["columns"]:
                if column.get("targetDataType") == "decimal":
                    frame[column["name"]] = pd.to_numeric(frame[column["name"]])
            return frame

    return DecimalReader


def _library() -> dict[str, Any]:
    """What the engine would ask CDISC's library for, out of our list of variables."""
    classes = [
        {
            "name": name,
            "datasets": [{"name": domain, "datasetVariables": _variables(domain)} for domain in domains],
        }
        for name, domains in _CLASSES.items()
    ]
    names = {domain: domain for domains in _CLASSES.values() for domain in domains}
    return {"standard_metadata": {"classes": classes, "dataset_names": names}}


def _variables(domain: str) -> list[dict[str, str]]:
    return [
        {
            "name": row["variable"],
            "label": row["label"],
            "ordinal": row["order"],
            "role": row["role"],
            "core": row["core"],
            "simpleDatatype": row["type"],
        }
        for row in table("variables")
        if row["domain"] == domain
    ]


def findings_of(rule: Mapping[str, Any], results: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """One a domain; what is said of the whole study is said once."""
    severity: Severity = "warning" if "overreporting" in str(rule["executability"]) else "error"
    by_domain: dict[str, list[Mapping[str, Any]]] = {}
    says: dict[str, str] = {}
    for result in results:
        if result["executionStatus"] != "issue reported" or _is_complaint(result):
            continue
        domain = str(result["dataset"])
        if domain == "STUDY" and domain in by_domain:
            continue
        by_domain.setdefault(domain, []).extend(result["errors"])
        says[domain] = str(result["message"])
    return [
        Finding(
            judge=NAME,
            rule=rule["core_id"],
            domain=domain,
            severity=severity,
            count=len(errors),
            says=says[domain],
            examples=tuple(_example(error) for error in errors[:_EXAMPLES]),
        )
        for domain, errors in by_domain.items()
    ]


def _is_complaint(result: Mapping[str, Any]) -> bool:
    """Whether the engine reports, as if it were an issue, that a rule looks at variables which are not there."""
    return not result.get("dataset") and all(
        "ERROR" in (error.get("value") or {}) for error in result["errors"]
    )


def _example(error: Mapping[str, Any]) -> str:
    values = ", ".join(f"{name} {value!r}" for name, value in (error.get("value") or {}).items())
    return f"{error.get('USUBJID', '')} {error.get('SEQ', '')}: {values}".strip()


def reason_of(results: Sequence[Mapping[str, Any]]) -> str:
    """Why a rule said nothing: the first reason that is about data, else that it is for other domains."""
    reasons = [
        (str(error.get("error", "")), str(error.get("message", "")))
        for one in results
        for error in one["errors"]
    ]
    if any(one["executionStatus"] == "issue reported" and _is_complaint(one) for one in results):
        return "needs a variable that is not exported"
    for kind, message in reasons:
        if kind == "Column not found in data":
            return "needs a variable that is not exported"
        if kind == "Domain not found":
            return "needs a domain that is not exported"
        if "define.xml" in message:
            return "needs a Define-XML"
        if "CDISC Library" in message:
            return "needs metadata of CDISC's library"
        if kind == "Empty dataset":
            return "has no record to look at"
    for kind, message in reasons:
        if kind != "Outside scope":
            return f"{kind}: {message}"
    return "is for other domains or classes"
