"""The figures of a review as one HTML page that needs nothing else."""
