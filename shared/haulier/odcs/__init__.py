"""The Open Data Contract Standard: its documents as structs, and what Haulier makes of them."""

from haulier.odcs.contract import load_contract, resolve_contract

__all__ = ["load_contract", "resolve_contract"]
