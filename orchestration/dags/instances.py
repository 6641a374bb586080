"""Every instance of every pipeline under HAULIER_DEFINITIONS is a DAG. airflow dag"""

import os

from haulier_airflow.dags import all_dags
from haulier_airflow.settings import AirflowSettings

for dag in all_dags(AirflowSettings.from_env(os.environ)):
    globals()[dag.dag_id] = dag
