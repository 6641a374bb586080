"""A real web server with a certificate of its own."""

from __future__ import annotations

import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROWS = b"thing,price\none,1\n"


class Server:
    """Answers what a test says it has: path -> (status, headers, body)."""

    def __init__(self, folder: Path) -> None:
        self.has: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.certificate = folder / "server.pem"
        key = folder / "server.key"
        asked = "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
        subprocess.run(
            ["openssl", *asked.split(), "-keyout", str(key), "-out", str(self.certificate)],
            check=True,
            capture_output=True,
        )
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self._answer(with_body=False)

            def do_GET(self) -> None:
                self._answer(with_body=True)

            def _answer(self, *, with_body: bool) -> None:
                status, headers, body = outer.has.get(self.path, (404, {}, b""))
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if with_body:
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def put(self, path: str, body: bytes = ROWS, status: int = 200, **headers: str) -> None:
        self.has[path] = (status, {name.replace("_", "-"): value for name, value in headers.items()}, body)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
