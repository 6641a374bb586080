"""SQL models, run inside PostgreSQL once a run's raw rows are there."""
