"""Cold storage: partitions that left the database as Parquet, whole, and come back as they were."""
