"""Arrow arrays without `pyarrow.array`, which imports pandas, 240 ms, wherever it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def numbers(values: npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Whole numbers of exactly that width."""
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def texts(values: Sequence[str | None]) -> pa.Array:
    return of_bytes([None if value is None else value.encode() for value in values], pa.string())


def of_bytes(values: Sequence[bytes | None], kind: pa.DataType) -> pa.Array:
    """Byte strings, or what Arrow stores as such; less than 2 GiB together."""
    held = np.array([value is not None for value in values], dtype=np.bool_)
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum([len(value or b"") for value in values], out=offsets[1:])
    data = b"".join(value for value in values if value)
    valid = None if held.all() else pa.py_buffer(np.packbits(held, bitorder="little"))
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(offsets), pa.py_buffer(data)])
