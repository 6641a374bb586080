"""What the README of the clinical definitions shows is what comes out."""

import csv
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

from support.transforming import delivery, text_table

from haulier import loading
from haulier_transform.canonical import Canonical
from haulier_transform.functions import Functions

FOLDER = Path("examples/clinical/sdtm")
README = (FOLDER / "README.md").read_text("utf-8")


def block(language):
    return re.search(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)[1]


def test_the_site_that_is_shown_becomes_the_rows_that_are_shown(tmp_path):
    folder = tmp_path / "definitions"
    shutil.copytree(FOLDER, folder)
    (folder / "pipelines/lb.yaml").write_text(block("yaml"), "utf-8")
    instance, contract = loading.resolve(loading.load_pipeline(folder, "lb"), "702")
    header, *rows = csv.reader(block("csv").splitlines(), delimiter=instance.source.csv.delimiter)
    functions = Functions.load(instance.transform.functions, folder / "functions", instance.references)

    canonical = Canonical(instance, contract, [delivery()], functions)
    result = canonical.batch(text_table(header, [[cell or None for cell in row] for row in rows]))

    table = [line.strip("| ").split(" | ") for line in README.splitlines() if line.startswith("| lbtestcd")]
    names = [name.strip() for name in table[0]]
    lines = README[README.index("| lbtestcd") :].splitlines()[2 : 2 + len(rows)]
    shown = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    flagged = defaultdict(list)
    for source, rule in zip(result.flags.source, result.flags.rule, strict=True):
        flagged[int(source)].append(rule)
    cells = [result.canonical[name].to_pylist() for name in names[:-1]]
    found = [
        [*(value or "" for value in row), " ".join(flagged[at])]
        for at, row in enumerate(zip(*cells, strict=True))
    ]
    assert found == shown
    assert not len(result.rejects)


def test_what_there_is_to_try_makes_a_trial_of_the_site_that_is_shown(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "sdtm")
    before, found, _ = block("sh").partition("export HAULIER_SOURCE_ROOT=landing HAULIER_DEFINITIONS=trial\n")
    subprocess.run(["bash", "-euo", "pipefail", "-c", before], cwd=tmp_path, check=True)

    assert found
    files = loading.load_pipelines(tmp_path / "trial")
    assert {name: loading.instances(file) for name, file in files.items()} == {"dm": ["702"], "lb": ["702"]}
    # What `haulier run --from` needs, and the views.
    instance, _ = loading.resolve(files["lb"], "702")
    assert (instance.schedule, [model.name for model in instance.models]) == ("@daily", ["sdtm_lb"])
    assert (tmp_path / "landing/702/lb_2026-01-05.csv").read_text("cp1252") == block("csv")
    header, row = csv.reader((tmp_path / "landing/702/dm_2026-01-05.csv").read_text("ascii").splitlines())
    subject = dict(zip(header, row, strict=True))
    assert subject["USUBJID"] == f"HAUL-301-{block('csv').splitlines()[1].partition(';')[0]}"


def test_the_flags_that_are_listed_are_those_there_are():
    listed = set(re.findall(r"^\| `([a-z-]+)` \|", README[README.index("| flag |") :], re.MULTILINE))
    package = Path("examples/clinical/haulier_clinical")
    code = "".join((package / name).read_text("utf-8") for name in ("measuring.py", "functions.py"))
    made = set(re.findall(r"(?:Odd\(\s*|flag\([^)]*?rule=)\"([a-z-]+)\"", code))

    assert listed == made
