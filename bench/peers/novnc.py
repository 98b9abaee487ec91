"""noVNC through websockify, straight on an engine's Unix socket."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from bench import processes
from bench.processes import Trouble

NOVNC = Path(__file__).parents[2] / "web/node_modules/@novnc/novnc"
PAGE = """<!doctype html><meta charset="utf-8"><title>noVNC</title>
<style>html, body, #screen { margin: 0; width: 100%; height: 100%; overflow: hidden }</style>
<div id="screen"></div>
<script type="module">
  import RFB from './novnc/core/rfb.js';
  const rfb = new RFB(document.getElementById('screen'), `ws://${location.host}/websockify`, { shared: true });
  rfb.resizeSession = true;
  rfb.addEventListener('connect', () => rfb.focus());
</script>
"""


class Websockify:
    """A websockify in front of a Unix socket; with `page`, it serves a page with noVNC on it."""

    def __init__(self, target: Path, *, page: bool = False, prefix: tuple[str, ...] = ()) -> None:
        self.port = processes.free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="mbw-", dir="/tmp"))
        command = [*prefix, str(Path(sys.executable).parent / "websockify"), f"--unix-target={target}"]
        if page:
            if not NOVNC.is_dir():
                raise Trouble(f"there is no {NOVNC.relative_to(NOVNC.parents[3])}: run scripts/setup")
            (self._folder / "novnc").symlink_to(NOVNC)
            (self._folder / "index.html").write_text(PAGE)
            command.append(f"--web={self._folder}")
        self.process: subprocess.Popen[bytes] = processes.start([*command, f"127.0.0.1:{self.port}"])
        processes.until(self._answers, 10, "websockify")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def cpu_seconds(self) -> float:
        """CPU that it and its process for each connection have used."""
        return processes.cpu_seconds(processes.tree(self.process.pid))

    def close(self) -> None:
        for pid in reversed(processes.tree(self.process.pid)[1:]):
            processes.end(pid)
        processes.stop(self.process)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(self.url, timeout=1).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True
