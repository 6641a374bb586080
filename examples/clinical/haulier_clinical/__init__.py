"""A clinical trial on Haulier: vital signs and labs as SDTM, exported and judged."""

__version__ = "0.1.0"
