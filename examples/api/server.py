"""An API as a plant might have one: readings of an interval, three to a page, for whoever brings the token.

It throttles every fourth request (429, Retry-After), as APIs do.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = "Bearer open-sesame"  # noqa: S105 - an example's
PAGE = 3
FIRST = datetime.fromisoformat("2026-01-05T00:00:00+00:00")
READINGS = [
    {
        "sensor": f"tank-{number % 2 + 1}",
        "taken_at": (FIRST + timedelta(hours=number * 4)).isoformat(),
        "celsius": 20 + number / 4,
        "device": {"model": "T1000", "battery": 1 - number / 100},
    }
    for number in range(12)
]


class Plant(BaseHTTPRequestHandler):
    asked = 0

    def do_GET(self) -> None:
        Plant.asked += 1
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        if self.headers.get("Authorization") != TOKEN:
            self.answer(401, {"error": "who are you?"})
        elif Plant.asked % 4 == 0:
            self.answer(429, {"error": "slower, please"}, {"Retry-After": "1"})
        else:
            begin, end = (datetime.fromisoformat(query[name]) for name in ("from", "before"))
            found = [one for one in READINGS if begin <= datetime.fromisoformat(one["taken_at"]) < end]
            start = int(query.get("cursor", "0"))
            following = start + PAGE if start + PAGE < len(found) else None
            self.answer(200, {"readings": found[start : start + PAGE], "next": following})

    def answer(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, form: str, *given: object) -> None:
        pass


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Plant).serve_forever()
