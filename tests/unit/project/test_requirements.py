"""What the locks promise: each image gets what its step declares, at the versions that were tested."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
REQUIREMENTS = ROOT / "requirements"
IMAGES = ("extract", "transform", "load")
LOCKS = ("uv", "dev", *IMAGES)


def asked(name: str) -> set[str]:
    lines = (REQUIREMENTS / f"{name}.in").read_text(encoding="utf-8").splitlines()
    return {line.lower() for line in lines if line and line[0] not in "#-"}


def declared(folder: str) -> set[str]:
    project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [name for extra in project.get("optional-dependencies", {}).values() for name in extra]
    return {name for name in [*project["dependencies"], *extras] if not name.startswith("haulier")}


def locked(name: str) -> dict[str, list[str]]:
    """Each requirement of a lock, with the versions it may have."""
    versions: dict[str, list[str]] = {}
    for package, version in re.findall(
        r"^([a-z0-9-]+)==(\S+)", (REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8"), re.MULTILINE
    ):
        versions.setdefault(package, []).append(version)
    return versions


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_asks_for_what_its_packages_declare(image):
    shared = tomllib.loads((ROOT / "shared/pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert asked(image) == declared(f"services/{image}") | set(shared["dependencies"])


def test_a_checkout_asks_for_what_every_package_declares():
    wanted = asked("dev").union(asked("airflow"), *(asked(image) for image in IMAGES))
    folders = ["shared", "orchestration", *(f"services/{image}" for image in IMAGES)]

    assert set().union(*(declared(folder) for folder in folders)) <= wanted


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_has_the_versions_that_were_tested(image):
    tested = locked("dev")

    assert locked(image).items() <= tested.items()
    assert asked(image) <= locked(image).keys()


def test_airflow_and_a_checkout_agree_on_what_both_have():
    tested, airflow = locked("dev"), locked("airflow")

    both = tested.keys() & airflow.keys()
    assert {name: airflow[name] for name in both} == {name: tested[name] for name in both}
    assert len(both) > 20


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_registry_and_trusts_only_hashes(name):
    text = (REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8")

    assert not re.search(r"https?:|--index|--extra|--find-links", text)
    for requirement in re.split(r"\n(?=[a-z])", text):
        assert requirement.count("--hash=sha256:") >= 1
