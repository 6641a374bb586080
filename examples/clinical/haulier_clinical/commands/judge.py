"""``judge``: an export before independent judges, with what they say and why it is so."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path

from haulier_clinical.judging.findings import Finding, JudgeError, Verdict, explain, read_table
from haulier_clinical.references import table

#: What the judges are made of; it needs Python 3.12.
_NEEDED = ("pandera", "cdisc_rules_engine")
_UNEXPLAINED = 65


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Exit codes: 0 nothing is wrong that is not explained, 2 something to set right first, 65 something is wrong and "
        "nobody has explained it."
    )
    parser.add_argument("folder", type=Path, help="what `export` wrote, with Dataset-JSON among it")
    parser.add_argument(
        "--core-rules",
        type=Path,
        metavar="FILE",
        help="CDISC's conformance rules, JSON or JSON in gzip; without it CORE does not judge",
    )
    parser.add_argument(
        "--explanations", type=Path, metavar="FILE", help="CSV of rule, domain, explanation for this trial"
    )
    parser.add_argument(
        "--terms",
        type=Path,
        metavar="FILE",
        help="CSV of codelist, value, name beside the package's own terms",
    )
    parser.add_argument(
        "--python",
        type=Path,
        default=Path(".venv-judges/bin/python"),
        help="where the judges are installed, if not here; default: %(default)s, which `make judges` makes",
    )
    parser.add_argument(
        "--output", choices=("text", "json"), default="text", help="json: one document on stdout"
    )


def run(asked: argparse.Namespace) -> int:
    if not all(map(find_spec, _NEEDED)):
        return _elsewhere(asked)
    try:
        verdicts = _judge(asked)
    except JudgeError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    if asked.output == "json":
        sys.stdout.write(json.dumps([asdict(verdict) for verdict in verdicts], indent=1) + "\n")
    else:
        sys.stdout.write("\n".join(_told(verdicts, asked.core_rules is not None)) + "\n")
    unexplained = any(not finding.explanation for verdict in verdicts for finding in verdict.findings)
    return _UNEXPLAINED if unexplained else 0


def _elsewhere(asked: argparse.Namespace) -> int:
    """The same command by the Python that has the judges."""
    python = asked.python.absolute()
    if not python.is_file() or sys.executable == str(python):
        sys.stderr.write(
            f"the judges are not installed: there is no {asked.python}; make judges (which needs Python 3.12), or name "
            "another Python with --python\n"
        )
        return 2
    # The engine warns of its own libraries, which is no answer to anybody here.
    command = [python, "-P", "-W", "ignore", "-m", "haulier_clinical", *asked.argv]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(command, env=environment, check=False).returncode


def _judge(asked: argparse.Namespace) -> list[Verdict]:
    from haulier_clinical.judging import core, terms
    from haulier_clinical.judging.frames import read_export

    more = (
        read_table(asked.terms, "--terms", ("codelist", "value", "name"), ("codelist", "value"))
        if asked.terms
        else []
    )
    explanations = [
        *(
            read_table(
                asked.explanations,
                "--explanations",
                ("rule", "domain", "explanation"),
                ("rule", "explanation"),
            )
            if asked.explanations
            else []
        ),
        *table("explanations"),
    ]
    domains = read_export(asked.folder)
    paths = [domain.path for domain in domains.values()]
    verdicts = [core.judge_schema(paths), terms.judge(domains, more)]
    if asked.core_rules:
        verdicts.append(core.judge(paths, asked.core_rules))
    return [replace(verdict, findings=explain(verdict.findings, explanations)) for verdict in verdicts]


def _told(verdicts: Sequence[Verdict], with_core: bool) -> Iterator[str]:
    for verdict in verdicts:
        yield f"{verdict.judge}: {verdict.passed} rules hold, {len(verdict.findings)} do not"
        for finding in verdict.findings:
            yield _line(finding)
            yield f"      {finding.explanation or 'NOT EXPLAINED. For example: ' + '; '.join(finding.examples)}"
        for reason, count in Counter(unrun.reason for unrun in verdict.unrun).most_common():
            yield f"  not applied: {count:>4}  {reason}"
    if not with_core:
        yield "CDISC CORE: did not judge; --core-rules names its rules"


def _line(finding: Finding) -> str:
    return (
        f"  {finding.rule:<16} {finding.domain:<5} {finding.severity:<7} {finding.count:>6}  {finding.says}"
    )
