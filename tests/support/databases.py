"""A MariaDB and a PostgreSQL of the tests' own: in a folder, on free ports, gone with the test."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import psutil

from tests.support.waiting import eventually

START_SECONDS = 30.0
STOP_SECONDS = 15.0
PASSWORD = "a p@ss:w/ord"
_numbers = itertools.count(1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A database server as a process of its own. They refuse root, so root runs them as the account of the package."""

    scheme: str
    account: str
    programs: Sequence[str]

    def __init__(self) -> None:
        # Short, because of the socket in it; and its account must get through.
        self.folder = Path(tempfile.mkdtemp(prefix="mdg-db-", dir="/tmp"))
        self.data = self.folder / "data"
        self.port = free_port()
        self.password_file = self.folder / "password"
        self.password_file.write_text(f"{PASSWORD}\n")
        self.process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._as = {"user": self.account, "group": self.account, "extra_groups": []}
            shutil.chown(self.folder, self.account, self.account)

    @classmethod
    def missing(cls) -> str:
        """The program that is not there, or an empty string."""
        return next((program for program in cls.programs if not shutil.which(program)), "")

    def __enter__(self) -> Self:
        try:
            self.install()
            self.start()
            self.grant()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def socket(self) -> Path:
        raise NotImplementedError

    def install(self) -> None:
        raise NotImplementedError

    def command(self) -> list[str]:
        raise NotImplementedError

    def grant(self) -> None:
        """An account `madang` with PASSWORD."""
        raise NotImplementedError

    def ask(self, sql: str, database: str = "") -> str:
        """As its administrator; what it answers, columns with tabs between."""
        raise NotImplementedError

    def url(self, database: str) -> str:
        return f"{self.scheme}://madang@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The name of an empty database."""
        raise NotImplementedError

    def drop(self, name: str) -> None:
        """PostgreSQL's take many megabytes each."""
        self.ask(f"DROP DATABASE IF EXISTS {name}")

    def environment(self, database: str) -> dict[str, str]:
        """The settings of a site that uses it."""
        return {
            "MADANG_DATABASE_URL": self.url(database),
            "MADANG_DATABASE_PASSWORD_FILE": str(self.password_file),
        }

    def run(self, *command: str) -> None:
        done = subprocess.run(command, cwd=self.folder, capture_output=True, timeout=60, check=False, **self._as)
        assert done.returncode == 0, done.stderr.decode()[-2000:] + done.stdout.decode()[-2000:]

    def start(self, *more: str) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command(), *more],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._as,
            )
        eventually(self._answers, START_SECONDS, lambda: self.log, pause=0.05)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"it ended with {self.process.returncode}\n{self.log}")
        try:
            return "1" in self.ask("SELECT 1")
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return False

    def pause(self) -> None:
        self._everybody(signal.SIGSTOP)

    def resume(self) -> None:
        self._everybody(signal.SIGCONT)

    def kill(self) -> None:
        """As a power cut: kill -9 to all of it."""
        self._everybody(signal.SIGKILL)
        assert self.process is not None
        self.process.wait(STOP_SECONDS)
        self.process = None

    def stop(self) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGINT if self.scheme == "postgresql" else signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process = process
            self.kill()

    def close(self) -> None:
        """End it, whatever state it is in, and remove its folder."""
        try:
            if self.process is not None:
                self.kill()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _everybody(self, number: signal.Signals) -> None:
        """PostgreSQL's processes each lead a session of their own, so they are found as children."""
        assert self.process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            first = psutil.Process(self.process.pid)
            for each in (first, *first.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.send_signal(number)


class MariaDBServer(Server):
    scheme = "mariadb"
    account = "mysql"
    programs = ("mariadbd", "mariadb-install-db", "mariadb")

    @property
    def socket(self) -> Path:
        return self.folder / "socket"

    def install(self) -> None:
        options = ("--no-defaults", f"--datadir={self.data}", "--skip-test-db")
        self.run("mariadb-install-db", *options, "--auth-root-authentication-method=normal")

    def command(self) -> list[str]:
        return [
            str(shutil.which("mariadbd")),
            "--no-defaults",
            f"--datadir={self.data}",
            f"--socket={self.socket}",
            f"--pid-file={self.folder / 'pid'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--innodb-buffer-pool-size=16M",
            "--innodb-log-file-size=16M",
            "--innodb-flush-log-at-trx-commit=2",  # enough for a killed process
            "--skip-name-resolve",
        ]

    def grant(self) -> None:
        self.ask(f"CREATE USER madang@'%' IDENTIFIED BY '{PASSWORD}'")

    def ask(self, sql: str, database: str = "") -> str:
        command = ["mariadb", "--no-defaults", f"--socket={self.socket}", "--user=root", "-N", "-B", "-e", sql]
        command += [database] if database else []
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout

    def new_database(self) -> str:
        # As Debian makes one: its comparisons know no case. The portal sees to that itself.
        name = f"site{next(_numbers)}"
        self.ask(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
        self.ask(f"GRANT ALL ON {name}.* TO madang@'%'")
        return name


class PostgreSQLServer(Server):
    scheme = "postgresql"
    account = "postgres"
    programs = ("psql",)

    @classmethod
    def missing(cls) -> str:
        return super().missing() or ("" if cls.programs_folder() else "initdb")

    @property
    def socket(self) -> Path:
        return self.folder / f".s.PGSQL.{self.port}"

    @staticmethod
    def programs_folder() -> Path | None:
        """Where Debian keeps the server's programs: of the newest version."""
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[4].zfill(3))
        return found[-1].parent if found else None

    def install(self) -> None:
        options = ["--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"]
        self.run(f"{self.programs_folder()}/initdb", "-D", str(self.data), "-U", "postgres", *options)

    def command(self) -> list[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",  # enough for a killed process
            "shared_buffers": "16MB",
        }
        said = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        return [f"{self.programs_folder()}/postgres", "-D", str(self.data), "-p", str(self.port), *said]

    def grant(self) -> None:
        self.ask(f"CREATE ROLE madang LOGIN PASSWORD '{PASSWORD}'")

    def ask(self, sql: str, database: str = "postgres") -> str:
        command = ["psql", "-X", "-h", str(self.folder), "-p", str(self.port), "-U", "postgres", "-At", "-F", "\t"]
        done = subprocess.run(
            [*command, "-d", database, "-c", sql], capture_output=True, text=True, timeout=20, check=True
        )
        return done.stdout

    def new_database(self) -> str:
        name = f"site{next(_numbers)}"
        self.ask(f"CREATE DATABASE {name} OWNER madang")
        return name


SERVERS: dict[str, type[Server]] = {"mariadb": MariaDBServer, "postgresql": PostgreSQLServer}


class GaleraNode(MariaDBServer):
    """A node of a Galera cluster on this machine."""

    PROVIDER = Path("/usr/lib/galera/libgalera_smm.so")

    def __init__(self, *, like: GaleraNode | None = None) -> None:
        """`like`: a node that is stopped; this one begins with its data, so that nothing has to be carried over."""
        super().__init__()
        self.others = "" if like is None else f"127.0.0.1:{like.group_port}"
        self.group_port, self.transfer_port, self.join_port = free_port(), free_port(), free_port()
        if like is not None:
            shutil.copytree(like.data, self.data)
            if os.geteuid() == 0:
                self._own(self.data)

    @classmethod
    def missing(cls) -> str:
        return super().missing() or ("" if cls.PROVIDER.exists() else cls.PROVIDER.name)

    def command(self) -> list[str]:
        provider = {
            "gmcast.listen_addr": f"tcp://127.0.0.1:{self.group_port}",
            "ist.recv_addr": f"127.0.0.1:{self.transfer_port}",
            "gcache.size": "8M",
            # Short, so that a test need not wait long until a node is known to be gone.
            "evs.suspect_timeout": "PT1S",
            "evs.inactive_timeout": "PT2S",
            "evs.keepalive_period": "PT0.3S",
        }
        return [
            *super().command(),
            "--wsrep-on=ON",
            f"--wsrep-provider={self.PROVIDER}",
            f"--wsrep-provider-options={';'.join(f'{name}={value}' for name, value in provider.items())}",
            f"--wsrep-cluster-address=gcomm://{self.others}",
            f"--wsrep-node-address=127.0.0.1:{self.group_port}",
            f"--wsrep-sst-receive-address=127.0.0.1:{self.join_port}",
            "--wsrep-sst-method=rsync",
            "--wsrep-cluster-name=tests",
            "--binlog-format=ROW",
            "--innodb-autoinc-lock-mode=2",
        ]

    def _answers(self) -> bool:
        return super()._answers() and "ON" in self.ask("SHOW STATUS LIKE 'wsrep_ready'")

    def _own(self, folder: Path) -> None:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, self.account, self.account)
