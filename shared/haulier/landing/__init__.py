"""What load and models share: whose run it is, the target and its catalogue, merging, the dead letter."""
