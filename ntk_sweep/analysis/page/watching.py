"""The page as rows arrive: served on the loopback, drawn anew when the store has changed."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from ntk_sweep.analysis.errors import AnalysisError
from ntk_sweep.analysis.rows.columns import SPECTRUM, TRAINING
from ntk_sweep.store.store import Store

LOOPBACK = "127.0.0.1"

EVERY = 2.0
"""Seconds between two looks at the store, and of the page at us."""

_POLICY = "default-src 'none';"

_LIVE = """<script>
"use strict";
// New rows: the page is read again where she is, with the state of its controls in the address.
const liveVersion = "VERSION";
setInterval(async () => {
  const now = await fetch("/version").then((answer) => answer.text(), () => liveVersion);
  if (now !== liveVersion) location.reload();
}, 2000);
</script>
</body>"""

_WAITING = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>NTK spectra</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'">
</head><body><p role="status">No rows yet: the page comes with the first of them.</p></body></html>
"""


class Watch:
    """A server on the loopback, and what it shows.

    Attributes:
        address: Of the page.
    """

    def __init__(self, results: str, folder: Path, draw: Callable[[], Path], port: int = 0) -> None:
        """Starts to serve.

        Args:
            results: The folder or URI that is watched.
            folder: Where the page and its files are written.
            draw: Writes the page, and returns its path.
            port: Of the server; 0 takes a free one.

        Raises:
            AnalysisError: The port is taken.
        """
        self._results, self._draw = results, draw
        self._seen: object = None
        self.version, self.text = "0", _WAITING
        handler = partial(_Handler, self, directory=str(folder))
        try:
            self._server = http.server.ThreadingHTTPServer((LOOPBACK, port), handler)
        except OSError as error:
            raise AnalysisError(
                f"port {port} cannot be served ({error.strerror}): choose another with --port, or "
                "leave it out to take a free one"
            ) from error
        self.port = self._server.server_address[1]
        self.address = f"http://{LOOPBACK}:{self.port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def look(self) -> bool:
        """Draws the page if rows have arrived; whether it did."""
        seen = self._parts()
        if seen == self._seen:
            return False
        try:
            path = self._draw()
        except AnalysisError:
            if self.version != "0":
                raise
            self._seen = seen  # no rows yet
            return False
        self._seen = seen
        self.text, self.version = path.read_text(encoding="utf-8"), str(int(self.version) + 1)
        return True

    def forever(self) -> None:
        """Looks again and again, until the process is interrupted."""
        while True:
            time.sleep(EVERY)
            self.look()

    def close(self) -> None:
        """Serves no more."""
        self._server.shutdown()
        self._server.server_close()

    def served(self) -> bytes:
        """The page with a script that asks whether there is a newer one."""
        text = self.text.replace(_POLICY, f"{_POLICY} connect-src 'self';", 1)
        head, _, tail = text.rpartition("</body>")
        return (head + _LIVE.replace("VERSION", self.version) + tail).encode()

    def _parts(self) -> list[tuple[str, int, object]]:
        found = []
        for task in (SPECTRUM, TRAINING):
            try:
                parts = Store(self._results, task).parts()
            except FileNotFoundError:
                continue
            found += [(part.path, part.size, part.mtime_ns) for part in parts]
        return sorted(found, key=str)


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Answers with the page, its version, and the files beside it."""

    def __init__(self, watch: Watch, *arguments: object, directory: str) -> None:
        self._watch = watch
        super().__init__(*arguments, directory=directory)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Only for pages of this very server: another site's name may lead to the loopback too."""
        watch = self._watch
        if self.headers.get("Host") not in {f"{LOOPBACK}:{watch.port}", f"localhost:{watch.port}"}:
            self.send_error(403)
            return
        path = urlsplit(self.path).path
        if path == "/version":
            self._send(watch.version.encode(), "text/plain")
        elif path in ("/", "/index.html"):
            self._send(watch.served(), "text/html; charset=utf-8")
        elif path.startswith(("/figures/", "/tables/")):
            super().do_GET()
        else:
            self.send_error(404)

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Says nothing: the terminal is for what the command says."""
