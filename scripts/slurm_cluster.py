"""A real Slurm cluster on this one machine: munge, MariaDB, slurmdbd, slurmctld and several slurmd, all in one folder.

Used by scripts/slurm-demo and by the tests. Root only. Nothing of Debian's own Slurm, munge or MariaDB set-up is read
or written: every daemon has its configuration, socket, key, data and log in the cluster's folder, and listens on ports
that were free. What runs is written down in the folder, so that another process can stop it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from slurm_daemons import STOP_SECONDS, Daemon, carrying, kill_now, steps_of, wait

PROGRAMS = ("munged", "mariadbd", "mariadb-install-db", "slurmdbd", "slurmctld", "slurmd", "sacctmgr", "sbatch")
SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
START_SECONDS = 60.0
ACCOUNT = "lab"
PARTITIONS = {"viz": "Default=YES MaxTime=1-00:00:00", "debug": "MaxTime=00:30:00"}
QOS = {
    "normal": (),
    "moonlight": (),
    # Refused at once when more than ten minutes are asked for.
    "short": ("MaxWall=00:10:00", "Flags=DenyOnLimit"),
    # One at a time runs, one more may wait.
    "single": ("MaxJobsPerUser=1", "MaxSubmitJobsPerUser=2"),
}


class ClusterError(Exception):
    """Something of the cluster did not start or stop; the text holds the last lines of its log."""


def missing() -> list[str]:
    """The programs that are not installed (Debian packages: group slurm of src/madang/packages.toml)."""
    return [program for program in PROGRAMS if shutil.which(program, path=SEARCH) is None]


class Cluster:
    """A cluster in a folder of its own, whose path every account must be able to enter (and be short: sockets)."""

    def __init__(
        self, folder: Path, *, name: str = "demo", nodes: int = 2, settings: Mapping[str, str] | None = None
    ) -> None:
        """settings: lines of slurm.conf other than those here."""
        self.folder = folder
        self.name = name
        self.node_names = [f"{name}-n{number}" for number in range(1, nodes + 1)]
        self.conf = folder / "etc/slurm.conf"
        self.environment = {"PATH": SEARCH, "LANG": "C.UTF-8", "SLURM_CONF": str(self.conf)}
        self._settings = dict(settings or {})
        socket_file = folder / "run/mariadb.sock"
        self._database_client = ("mariadb", "--no-defaults", "--user=root", f"--socket={socket_file}")
        munge = folder / "munge"
        self.munge = self._daemon(
            "munge", "munged", "--foreground", "--force", f"--socket={munge}/munge.socket", f"--key-file={munge}/key",
            f"--pid-file={munge}/pid", f"--log-file={munge}/log", f"--seed-file={munge}/seed", "--num-threads=2",
        )  # fmt: skip
        self.database = self._daemon(
            "mariadb", "mariadbd", "--no-defaults", f"--datadir={folder}/db", f"--socket={socket_file}", "--user=mysql",
            f"--pid-file={folder}/run/mariadb.pid", "--skip-networking", "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=16M", "--innodb-flush-log-at-trx-commit=2", "--performance-schema=OFF",
            "--innodb-lock-wait-timeout=900", f"--tmpdir={folder}/db",
        )  # fmt: skip
        # libmariadb takes the socket of "localhost" from here; slurmdbd.conf has no word for it.
        self.accounting = self._daemon("slurmdbd", "slurmdbd", "-D", MYSQL_UNIX_PORT=str(socket_file))
        self.controller = self._daemon("slurmctld", "slurmctld", "-D")
        self.nodes = {node: self._daemon(node, "slurmd", "-D", "-N", node) for node in self.node_names}

    def _daemon(self, name: str, *command: str, **more: str) -> Daemon:
        return Daemon(self.folder, name, command, self.environment | more)

    @property
    def daemons(self) -> list[Daemon]:
        """In the order in which they end."""
        return [*self.nodes.values(), self.controller, self.accounting, self.database, self.munge]

    # Its life.

    def start(self, accounts: Iterable[str] = ()) -> None:
        """Returns once every node is idle. accounts: the Unix accounts that may submit jobs. Raises ClusterError."""
        if lacking := missing():
            raise ClusterError(f"Not installed: {', '.join(lacking)}.")
        if os.geteuid() != 0:
            raise ClusterError("Only root can run a Slurm cluster here: jobs become their owners' accounts.")
        self._make_folder()
        self.munge.start()
        self.database.start()
        self._wait_for(lambda: (self.folder / "munge/munge.socket").exists(), self.munge, "munge has no socket")
        self._wait_for(self._database_answers, self.database, "the database does not answer")
        self._sql("CREATE DATABASE slurm; CREATE USER slurm@localhost IDENTIFIED VIA unix_socket;"
                  "GRANT ALL ON slurm.* TO slurm@localhost")  # fmt: skip
        self.accounting.start()
        self._wait_for(self._accounting_answers, self.accounting, "slurmdbd does not answer")
        self._make_associations()
        self.add_accounts(accounts)
        self.controller.start()
        for node in self.nodes.values():
            node.start()
        self.wait_ready()

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Until the controller answers and every node is idle or at work."""

        def ready() -> bool:
            for node in self.nodes.values():
                if node.pid is None:
                    raise ClusterError(f"{node.name} ended. {node.log}:\n{node.last_lines}")
            states = self.run("sinfo", "-hN", "-o", "%N %T", check=False).split("\n")
            good = {line.split()[0] for line in states if line.endswith((" idle", " mixed", " allocated"))}
            return good >= set(self.node_names)

        self._wait_for(ready, self.controller, "the nodes are not ready", seconds)

    def stop(self) -> None:
        """Ends jobs and daemons, and removes the folder. Does what is left to do when called again."""
        self.controller.send(signal.SIGCONT)
        for node in self.nodes.values():
            node.send(signal.SIGCONT)
        if self.controller.pid and self.munge.pid:
            self.end_jobs()
        for daemon in self.daemons:
            # Data is thrown away: nothing has to be written down.
            daemon.end(signal.SIGTERM if daemon in self.nodes.values() else signal.SIGKILL)
        self._end_what_is_left()
        shutil.rmtree(self.folder, ignore_errors=True)

    def end_jobs(self, seconds: float = STOP_SECONDS) -> None:
        """Cancels every job and waits until they are over."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            for user in self.run("squeue", "-h", "-o", "%u", check=False, timeout=5).split():
                self.run("scancel", "-u", user, check=False, timeout=5)
            wait(lambda: not self.run("squeue", "-h", check=False, timeout=5).strip(), seconds)

    def mend(self) -> None:
        """Continues what was stopped, starts what was killed, and waits until all of it answers."""
        for daemon in reversed(self.daemons):
            daemon.send(signal.SIGCONT)
            if daemon.pid is None:
                daemon.start()
        self.wait_ready()

    def kill_node(self, node: str) -> None:
        """As if the node had lost its power: its daemon and all that runs in its jobs are gone at once."""
        steps = steps_of(f"{self.folder}/spool-{node}/")
        self.nodes[node].kill()
        # The steps before what they watch: a slurmstepd that sees its job's end would still tell the controller. Then
        # the youngest first, for the same reason: who has just started others speaks for them.
        for pid in (*steps, *sorted(carrying(f"SLURMD_NODENAME={node}".encode()), reverse=True)):
            kill_now(pid)

    def _end_what_is_left(self) -> None:
        for _ in range(3):
            for pid in carrying(f"SLURM_CLUSTER_NAME={self.name}".encode()) | steps_of(f"{self.folder}/"):
                kill_now(pid)

    # Talking to it.

    def run(
        self, *command: str, account: str | None = None, stdin: str = "", check: bool = True, timeout: float = 30
    ) -> str:
        """One of Slurm's programs, as root or as an account; what it printed. Raises ClusterError."""
        who = {}
        if account is not None:
            entry = pwd.getpwnam(account)
            who = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [entry.pw_gid]}
        done = subprocess.run(
            command, env=self.environment, cwd="/", input=stdin, capture_output=True, text=True, timeout=timeout,
            check=False, **who,
        )  # fmt: skip
        if check and done.returncode:
            raise ClusterError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def add_accounts(self, accounts: Iterable[str]) -> None:
        """Lets these Unix accounts submit jobs, in every QoS."""
        if names := ",".join(accounts):
            self.run("sacctmgr", "-i", "add", "user", f"name={names}", f"account={ACCOUNT}", "DefaultQOS=normal",
                     f"qos={','.join(QOS)}")  # fmt: skip

    def remove_accounts(self, accounts: Iterable[str]) -> None:
        if names := ",".join(accounts):
            self.run("sacctmgr", "-i", "delete", "user", f"name={names}", check=False)

    # Making it.

    def _make_folder(self) -> None:
        if self.folder.exists() and any(self.folder.iterdir()):
            raise ClusterError(f"{self.folder} is not empty: stop the cluster in it first.")
        self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        for name, owner in {"etc": None, "run": "mysql", "log": "slurm", "db": "mysql", "state": "slurm",
                            "munge": None}.items():  # fmt: skip
            made = self.folder / name
            made.mkdir(mode=0o755)
            if owner:
                shutil.chown(made, owner)
        key = self.folder / "munge/key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        self._write_configuration()
        done = subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={self.folder}/db", "--user=mysql",
             f"--tmpdir={self.folder}/db", "--auth-root-authentication-method=socket", "--skip-test-db",
             "--skip-name-resolve"],
            env=self.environment, cwd="/", capture_output=True, text=True, timeout=START_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode:
            raise ClusterError(f"mariadb-install-db: {done.stdout[-1000:]}{done.stderr[-1000:]}")

    def _write_configuration(self) -> None:
        controller_port, accounting_port, *node_ports = free_ports(2 + len(self.node_names))
        host = socket.gethostname().partition(".")[0]
        values = {
            "ClusterName": self.name,
            # The address is stated: a host whose name maps to nothing, or to a loopback address alone, works too.
            "SlurmctldHost": f"{host}(127.0.0.1)",
            "SlurmctldPort": str(controller_port),
            "SlurmUser": "slurm",
            "AuthType": "auth/munge",
            # A job of a lost node begins again after cred_expire (120 s, if nothing is said).
            "AuthInfo": f"socket={self.folder}/munge/munge.socket,cred_expire=20",
            "CredType": "cred/munge",
            "StateSaveLocation": f"{self.folder}/state",
            "SlurmdSpoolDir": f"{self.folder}/spool-%n",
            "SlurmctldPidFile": f"{self.folder}/run/slurmctld.pid",
            "SlurmdPidFile": f"{self.folder}/run/slurmd-%n.pid",
            "ProctrackType": "proctrack/linuxproc",
            "TaskPlugin": "task/none",
            "MpiDefault": "none",
            "ReturnToService": "2",
            "JobRequeue": "1",
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_CPU_Memory",
            "DefMemPerCPU": "256",
            "SlurmdParameters": "config_overrides",
            "JobAcctGatherType": "jobacct_gather/linux",
            "AccountingStorageType": "accounting_storage/slurmdbd",
            "AccountingStorageHost": "127.0.0.1",
            "AccountingStoragePort": str(accounting_port),
            # Where munge of the accounting listens: a word of its own, AuthInfo does not count for it.
            "AccountingStoragePass": f"{self.folder}/munge/munge.socket",
            "AccountingStorageEnforce": "associations,limits,qos",
            "GresTypes": "gpu",
            "PriorityType": "priority/multifactor",
            "PriorityWeightAge": "1000",
            "SchedulerParameters": "bf_interval=2,batch_sched_delay=0,sched_min_interval=100000",
            "SlurmctldTimeout": "10",
            "SlurmdTimeout": "15",
            "KillWait": "5",
        } | self._settings
        lines = [f"{key}={value}" for key, value in values.items()]
        for number, (node, port) in enumerate(zip(self.node_names, node_ports, strict=True)):
            gpu = "Gres=gpu:demo:1 " if number == 0 else ""
            lines.append(f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=4 RealMemory=8000 "
                         f"Feature={'fast' if number == 0 else 'plain'} {gpu}State=UNKNOWN")  # fmt: skip
        lines += [
            f"PartitionName={name} Nodes=ALL State=UP DefaultTime=01:00:00 {words}"
            for name, words in PARTITIONS.items()
        ]
        self._write("etc/slurm.conf", lines)
        # Nothing is done with cgroups; "disabled" is a word since 23.11, before it v1 is what loads everywhere.
        disabled = _version() >= (23, 11)
        self._write("etc/cgroup.conf", [f"CgroupPlugin={'disabled' if disabled else 'cgroup/v1'}"])
        # A device that is there everywhere stands for a GPU.
        self._write("etc/gres.conf", [f"NodeName={self.node_names[0]} Name=gpu Type=demo File=/dev/null"])
        self._write(
            "etc/slurmdbd.conf",
            [
                "AuthType=auth/munge",
                f"AuthInfo=socket={self.folder}/munge/munge.socket",
                "DbdHost=localhost",
                f"DbdPort={accounting_port}",
                "SlurmUser=slurm",
                f"PidFile={self.folder}/run/slurmdbd.pid",
                "StorageType=accounting_storage/mysql",
                "StorageHost=localhost",
                "StorageUser=slurm",
                "StorageLoc=slurm",
            ],
        )
        secret = self.folder / "etc/slurmdbd.conf"
        shutil.chown(secret, "slurm")
        secret.chmod(0o600)  # slurmdbd asks for it

    def _write(self, name: str, lines: Sequence[str]) -> None:
        (self.folder / name).write_text("\n".join(lines) + "\n")

    def _make_associations(self) -> None:
        self.run("sacctmgr", "-i", "add", "cluster", self.name)
        for name, limits in QOS.items():
            verb = ("modify", "qos", name, "set") if name == "normal" else ("add", "qos", name)
            if limits or name != "normal":
                self.run("sacctmgr", "-i", *verb, *limits)
        self.run("sacctmgr", "-i", "add", "account", ACCOUNT, f"qos={','.join(QOS)}")

    # Waiting for it.

    def _sql(self, statement: str) -> bool:
        done = subprocess.run([*self._database_client, "-e", statement], env=self.environment, capture_output=True,
                              text=True, timeout=START_SECONDS, check=False)  # fmt: skip
        return done.returncode == 0

    def _database_answers(self) -> bool:
        return self._sql("SELECT 1")

    def _accounting_answers(self) -> bool:
        try:
            self.run("sacctmgr", "-nP", "list", "cluster", timeout=5)
        except (ClusterError, subprocess.TimeoutExpired):
            return False
        return True

    def _wait_for(
        self, good: Callable[[], bool], daemon: Daemon, otherwise: str, seconds: float = START_SECONDS
    ) -> None:
        ended = False

        def done() -> bool:
            nonlocal ended
            ended = daemon.pid is None
            return ended or good()

        if not wait(done, seconds) or ended:
            raise ClusterError(f"{otherwise}{' (it ended)' if ended else ''}. {daemon.log}:\n{daemon.last_lines}")


def _version() -> tuple[int, ...]:
    said = subprocess.run(["slurmd", "-V"], env={"PATH": SEARCH}, capture_output=True, text=True, check=False).stdout
    found = re.search(r"(\d+)\.(\d+)", said)
    return tuple(int(part) for part in found.groups()) if found else ()


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
