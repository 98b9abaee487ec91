"""nginx with TLS before a portal of ours, with the site that `madang deploy render` writes."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from bench import processes
from bench.processes import Trouble
from bench.site import MADANG, Site

MAIN = """{user}daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes auto;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/none;
    uwsgi_temp_path {folder}/none;
    scgi_temp_path {folder}/none;
    include {folder}/root/etc/nginx/conf.d/*.conf;
}}
"""


class Nginx:
    """One nginx on a free port of its own."""

    def __init__(self, site: Site) -> None:
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin")
        if program is None:
            raise Trouble("there is no nginx: scripts/setup test brings it")
        self.port = processes.free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="mb-nginx-", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._render(site)
            main = self._folder / "nginx.conf"
            main.write_text(MAIN.format(folder=self._folder, user="user root;\n" if os.geteuid() == 0 else ""))
            self._process = processes.start([program, "-e", self._folder / "error.log", "-c", main])
            processes.until(lambda: processes.answers(self.port), 10, "nginx")
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def close(self) -> None:
        if self._process is not None:
            processes.stop(self._process)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _render(self, site: Site) -> None:
        certificate, key = self._folder / "certificate.pem", self._folder / "key.pem"
        make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bench"]
        subprocess.run([*make, "-out", certificate, "-keyout", key], check=True, capture_output=True)
        render = [
            *(MADANG, "deploy", "render", self._folder / "root", "--portals", f"127.0.0.1:{site.port}"),
            *("--public-url", self.url, "--certificate", certificate, "--certificate-key", key),
            *("--listen", "127.0.0.1", "--https-port", str(self.port), "--http-port", "0"),
        ]
        subprocess.run(render, check=True, capture_output=True, env=site.environment)
