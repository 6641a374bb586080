"""A laboratory's database of three days, as SQLite keeps it: `python3 make_lims.py lims.db`."""

import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

path = Path(sys.argv[1])
path.unlink(missing_ok=True)
database = sqlite3.connect(path)
database.executescript(
    """
    CREATE TABLE samples (sample TEXT PRIMARY KEY, taken_at TEXT NOT NULL);
    CREATE TABLE results (result INTEGER PRIMARY KEY, sample TEXT NOT NULL REFERENCES samples, analyte TEXT NOT NULL,
                          value NUMERIC, changed_at TEXT NOT NULL);
    """
)
for number in range(30):
    taken = datetime(2026, 1, 5, 8, tzinfo=UTC) + timedelta(hours=2 * number)
    database.execute("INSERT INTO samples VALUES (?, ?)", (f"S{number:03}", f"{taken:%Y-%m-%d %H:%M:%S}"))
    for place, analyte in enumerate(("sodium", "potassium")):
        measured = taken + timedelta(hours=1)
        database.execute(
            "INSERT INTO results (sample, analyte, value, changed_at) VALUES (?, ?, ?, ?)",
            (
                f"S{number:03}",
                analyte,
                round(140.5 - 136 * place + number / 10, 1),
                f"{measured:%Y-%m-%d %H:%M:%S}",
            ),
        )
database.commit()
sys.stdout.write(f"{path}: 30 samples, 60 results\n")
