"""An HTTP server for signed URLs with scripted behaviour: Range requests, lost connections, expired URLs."""

from __future__ import annotations

import re
import secrets
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from tests.support.certificates import Certificate


class _Server(ThreadingHTTPServer):
    """Says nothing of clients that end the TLS handshake."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print other errors."""
        if not isinstance(sys.exception(), ssl.SSLError | ConnectionError):
            super().handle_error(request, client_address)


class ScriptedFileServer:
    """An HTTP server on loopback, with TLS if it has a certificate. Each request takes the next item of the lists of behaviour."""

    def __init__(self, certificate: Certificate | None = None) -> None:
        self.disconnect_after_bytes: list[int] = []
        self.statuses: list[int] = []
        self.ranges: list[str] = []
        self.authorizations: list[str] = []
        self.ignore_range = False
        self.redirect_to = ""
        self.tamper = False
        self.extra_bytes = 0
        self._files: dict[str, bytes] = {}
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._scheme = "http"
        if certificate is not None:
            self._scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.certificate, certificate.key)
            # The handshake takes place in the thread of the request, so a client that refuses it stops nothing.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def base_url(self) -> str:
        """Its address."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def sign(self, key: str, data: bytes) -> str:
        """Create another URL of a file."""
        path = f"/{key}?signature={secrets.token_hex(8)}"
        self._files[path] = data
        return self.base_url + path

    def put(self, path: str, data: bytes) -> None:
        """Add a file under a plain path."""
        self._files[path] = data

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one GET request."""
        requested_range = handler.headers.get("Range", "")
        self.ranges.append(requested_range)
        self.authorizations.append(handler.headers.get("Authorization", ""))
        status = self.statuses.pop(0) if self.statuses else 200
        data = self._files.get(handler.path)
        if self.redirect_to:
            handler.send_response(302)
            handler.send_header("Location", self.redirect_to + handler.path)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        if status != 200 or data is None:
            handler.send_error(status if status != 200 else 404)
            return
        if self.tamper:
            data = bytes([data[0] ^ 1]) + data[1:]
        begin, end = 0, len(data)
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", requested_range)
        if match and not self.ignore_range:
            begin, end = int(match[1]), int(match[2]) + 1 if match[2] else len(data)
            if begin >= len(data):
                handler.send_error(416)
                return
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(data)}")
        else:
            handler.send_response(200)
        handler.send_header("Content-Length", str(end - begin + self.extra_bytes))
        handler.end_headers()
        length = self.disconnect_after_bytes.pop(0) if self.disconnect_after_bytes else end - begin
        handler.wfile.write(data[begin : begin + length] + bytes(self.extra_bytes))
        handler.close_connection = True
