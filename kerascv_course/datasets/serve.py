"""A web server for one bundle: its files, read-only, and nothing else."""

import hashlib
import os
import re
import socket
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from kerascv_course._validation import check_int, input_error
from kerascv_course.datasets.bundle import CHECKSUMS, BundleFile, is_inside, read_bundle

_SECONDS_OF_SILENCE = 60  # after which a client is given up


class BundleServer(ThreadingHTTPServer):
    """Serves exactly the files that the `SHA256SUMS` of a bundle lists, to GET and HEAD, with ranges.

    Call `serve_forever()`, and `server_close()` at the end, or use it in a `with` block. Every file is compared
    with its checksum before the server starts.

    Args:
        folder: A folder that `make_bundle` filled, or a copy of it.
        host: The address to listen at: "0.0.0.0" for every network of this machine, "127.0.0.1" for itself alone.
        port: From 0 to 65535; 0 takes a free one.
        show: Called with one line of text for each answer.

    Raises:
        FileNotFoundError: If the folder holds no bundle.
        ValueError: If the port is out of range or a file of the bundle is not as listed.
        OSError: If the port is taken or the host is no address of this machine.

    Example:
        >>> with BundleServer("course_bundle", port=8000) as server:  # doctest: +SKIP
        ...     server.serve_forever()
    """

    daemon_threads = True
    request_queue_size = 256  # a class that starts at one word
    allow_reuse_address = os.name != "nt"  # there it would take the port away from another program

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        host: str = "0.0.0.0",
        port: int = 8000,
        show: Callable[[str], None] | None = None,
    ) -> None:
        check_int("BundleServer", "port", port, minimum=0, maximum=65535)
        if not isinstance(host, str) or not host:
            raise input_error("BundleServer", "host", "a host name or address", host, error=TypeError)
        self.files = {file.name: file for file in read_bundle(folder)}
        self.root = Path(folder).expanduser().absolute()
        self.show = show
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            rule = "an address of this machine with a free port"
            way_out = f"({error.strerror or error}) Choose another one with --port."
            received = f"{host}:{port}"
            raise input_error("BundleServer", "host and port", rule, received, way_out, OSError) from error

    @property
    def address(self) -> str:
        """The address of the server as other machines see it: the value of the students' setting."""
        host, port = str(self.server_address[0]), self.server_address[1]
        return f"http://{_own_address() if host == '0.0.0.0' else host}:{port}/"

    def server_bind(self) -> None:
        """Bind without asking the name service for this machine's name, which takes long without a network."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent about clients that went away."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def _own_address() -> str:
    """Return the address of this machine on the network that leads outside; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address kept for documentation
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


class _Handler(BaseHTTPRequestHandler):
    server: BundleServer
    server_version, sys_version = "kerascv-course", ""
    timeout = _SECONDS_OF_SILENCE

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def _refuse(self) -> None:
        self.send_response(405)
        self.send_header("Allow", "GET, HEAD")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _answer(self, with_content: bool) -> None:
        try:
            name = unquote(urlsplit(self.path).path, errors="strict").removeprefix("/")
        except ValueError:
            name = "?"
        if name in ("", CHECKSUMS):
            self._send_text(self._index() if not name else self._checksums(), with_content)
            return
        file = self.server.files.get(name)
        # It is looked at again: it may have been replaced since the start.
        if file is None or not is_inside(file.path, self.server.root) or file.path.stat().st_size != file.size:
            self.send_error(404)
            return
        with file.path.open("rb") as content:
            start, end = self._find_range(file)
            if start >= file.size:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{file.size}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            is_part = (start, end) != (0, file.size)
            self.send_response(206 if is_part else 200)
            if is_part:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{file.size}")
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(end - start))
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("ETag", f'"{file.sha256}"')
            self.end_headers()
            if with_content:
                self.connection.sendfile(content, start, end - start)

    def _find_range(self, file: BundleFile) -> tuple[int, int]:
        """Return the first byte and the one after the last; the whole file where no single range is asked for."""
        found = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", self.headers.get("Range", "").strip(), re.ASCII)
        if (
            not found
            or found[0] == "bytes=-"
            or self.headers.get("If-Range", f'"{file.sha256}"') != f'"{file.sha256}"'
        ):
            return 0, file.size
        if not found[1]:
            return (max(0, file.size - int(found[2])) if int(found[2]) else file.size), file.size
        start, end = int(found[1]), min(file.size, int(found[2]) + 1) if found[2] else file.size
        return (start, end) if start < end or start >= file.size else (0, file.size)

    def _send_text(self, text: str, with_content: bool) -> None:
        content = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.end_headers()
        if with_content:
            self.wfile.write(content)

    def _index(self) -> str:
        lines = [f"{file.size:>13,}  {name}\n" for name, file in sorted(self.server.files.items())]
        setting = f"KERASCV_COURSE_MIRRORS={self.server.address}"
        return f"{setting}\n\n{''.join(lines)}\nChecksums: {CHECKSUMS}\n"

    def _checksums(self) -> str:
        return "".join(f"{file.sha256}  {name}\n" for name, file in self.server.files.items())

    def log_message(self, format: str, *args: Any) -> None:
        if self.server.show is not None:
            # What a client sent may hold characters that steer the screen.
            text = "".join(sign if sign.isprintable() else "?" for sign in format % args)
            self.server.show(f"{self.client_address[0]}  {text[:200]}")


for _method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"):
    setattr(_Handler, f"do_{_method}", _Handler._refuse)
