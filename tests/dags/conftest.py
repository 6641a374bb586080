"""Airflow reads its settings when it is imported: a home of the tests' own comes first."""

from __future__ import annotations

import os
import tempfile
import warnings

import pytest
from support.airflow import Airflow
from support.things import place

os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="haulier-airflow-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
with warnings.catch_warnings():
    # Airflow's own imports warn of Airflow's own plans.
    warnings.simplefilter("ignore")
    from airflow.providers.cncf.kubernetes.operators import pod  # noqa: F401 - whose warnings end here
    from airflow.providers.docker.operators import docker  # noqa: F401 - whose warnings end here


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    return Airflow.at(tmp_path_factory.mktemp("airflow"))


@pytest.fixture
def here(tier, tmp_path):
    with place(tier, tmp_path, HAULIER_RUNNER="process") as made:
        yield made
