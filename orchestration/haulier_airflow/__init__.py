"""Haulier in Airflow: one DAG per instance, every step a hardened container."""
