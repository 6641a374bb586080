"""What the pilot trial's vitals need beyond their contract."""

from haulier_transform.batch import Batch


def vitals(batch: Batch) -> Batch:
    """A key part that is never null: weight and height have no time point and no position."""
    rows = batch.rows
    return batch.assign(row_key=rows["tmptc"].fillna("") + "/" + rows["subpos"].fillna(""))
