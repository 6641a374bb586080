"""The common library of Haulier's three steps; it knows no service, no vendor and no Airflow."""

__version__ = "0.1.0"
