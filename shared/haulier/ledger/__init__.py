"""The ledger, as the steps use it: reservations before a run, acquisition of it, what happened."""
