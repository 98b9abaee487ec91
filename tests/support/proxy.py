"""A private nginx with the site as `madang deploy render` writes it, on a free port, with a certificate of its own."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from tests.support.people import Client
from tests.support.portal import PortalProcess, free_port
from tests.support.waiting import eventually

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin")
MAIN = """{user}daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
worker_processes 2;
events {{ worker_connections 512; }}
http {{
    access_log off;
    types {{ }}
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/none;
    uwsgi_temp_path {folder}/none;
    scgi_temp_path {folder}/none;
    include {folder}/root/etc/nginx/conf.d/*.conf;
}}
"""


class Proxy:
    """nginx before portals. Its address is known before they start: they have to be told (HTTP_PUBLIC_URL)."""

    def __init__(self) -> None:
        assert NGINX, "nginx is missing: scripts/setup test"
        self.port, self.http_port = free_port(), free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="mdg-nginx-", dir="/tmp"))
        self.certificate = self.folder / "certificate.pem"
        self.process: subprocess.Popen[bytes] | None = None
        self._make_certificate()
        self.trust = ssl.create_default_context(cafile=str(self.certificate))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"wss://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "error.log").read_text(errors="replace")

    def render(
        self, portals: Sequence[PortalProcess], *more: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Write the site by the command line of the first portal."""
        addresses = ",".join(f"127.0.0.1:{portal.port}" for portal in portals)
        return portals[0].cli(
            *("deploy", "render", str(self.folder / "root"), "--portals", addresses, "--public-url", self.url),
            *("--certificate", str(self.certificate), "--certificate-key", str(self.folder / "key.pem")),
            *("--listen", "127.0.0.1", "--https-port", str(self.port), "--http-port", str(self.http_port)),
            *more,
            check=check,
        )

    def test(self) -> subprocess.CompletedProcess[str]:
        """`nginx -t`."""
        return subprocess.run([*self._command(), "-t"], capture_output=True, text=True, timeout=20, check=False)

    def start(self, portals: Sequence[PortalProcess], *more: str) -> None:
        self.render(portals, *more)
        self.process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with self.client() as client:
            eventually(lambda: self._answers(client), 10, lambda: f"nginx does not answer\n{self.log[-2000:]}")

    def close(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def client(self, headers: dict[str, str] | None = None, **more: Any) -> Client:
        return Client(self.url, headers or {}, verify=self.trust, **more)

    def by_token(self, portal: PortalProcess, name: str) -> Client:
        return self.client({"authorization": f"Bearer {portal.token_for(name)}"})

    def _answers(self, client: Client) -> bool:
        assert self.process is not None and self.process.poll() is None, self.log
        try:
            return client.get("/health").status_code == 200
        except OSError:
            return False
        except Exception as error:  # httpx has its own for a port that nobody listens on yet
            assert "refused" in str(error), error
            return False

    def _command(self) -> list[str]:
        main = self.folder / "nginx.conf"
        main.write_text(MAIN.format(folder=self.folder, user="user root;\n" if os.geteuid() == 0 else ""))
        assert NGINX
        return [NGINX, "-p", str(self.folder), "-e", str(self.folder / "error.log"), "-c", str(main)]

    def _make_certificate(self) -> None:
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=madang"),
                *("-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-out", str(self.certificate)),
                *("-keyout", str(self.folder / "key.pem")),
            ],
            check=True,
            capture_output=True,
        )
