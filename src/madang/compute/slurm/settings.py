"""Settings of the cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from madang.kernel.settings import Settings, as_root

NODE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
AGENT_COMMAND = ("/usr/bin/python3", "-I", "{agent}/agent.py", "{marker}")


class SlurmSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Desktops as jobs of a Slurm cluster."""

    programs: Annotated[
        str,
        msgspec.Meta(description="Folder of sbatch, squeue, scontrol, scancel, sacctmgr. Empty: they are in PATH."),
    ] = ""
    conf: Annotated[
        str,
        msgspec.Meta(description="Slurm's slurm.conf (SLURM_CONF). Empty: the portal's own SLURM_CONF, else Slurm's."),
    ] = ""
    command_seconds: Annotated[
        float, msgspec.Meta(gt=0, description="squeue, scontrol, scancel or sacctmgr that takes longer is given up.")
    ] = 10.0
    submit_command_seconds: Annotated[
        float,
        msgspec.Meta(gt=0, description="sbatch that takes longer is given up; its job is then searched for by name."),
    ] = 20.0
    submit_seconds: Annotated[
        float,
        msgspec.Meta(
            gt=0,
            description="So long a cluster that does not answer is asked again to take a job; so long it must answer "
            "without knowing a job before that job counts as never taken.",
        ),
    ] = 15.0
    retry_seconds: Annotated[
        float, msgspec.Meta(gt=0, description="Pause before a cluster that does not answer is asked again.")
    ] = 1.0
    silent_seconds: Annotated[
        float, msgspec.Meta(gt=0, description="A cluster that has not answered for so long is shown as silent.")
    ] = 15.0
    fresh_seconds: Annotated[
        float,
        msgspec.Meta(
            gt=0, description="A job that waits is asked for anew when what is known of it is older than this."
        ),
    ] = 1.0
    cancel_seconds: Annotated[
        float,
        msgspec.Meta(gt=0, description="A job that is ended by force is watched so long before it is tried again."),
    ] = 2.0
    poll_seconds: Annotated[
        float, msgspec.Meta(gt=0, description="Pause between two looks at a job that is being ended.")
    ] = 0.25
    facts_seconds: Annotated[
        float,
        msgspec.Meta(gt=0, description="Partitions, QoS, accounts and addresses of nodes are read anew after so long."),
    ] = 60.0
    ended_jobs: Annotated[
        int, msgspec.Meta(ge=100, description="Of so many ended jobs it is remembered how they ended.")
    ] = 5000
    folder: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            max_length=50,
            pattern="^/",
            description="Folder on the nodes in which agents make their sessions' folders; everybody may write there. "
            "Keep it short: paths of sockets hold few characters.",
        ),
    ] = "/tmp"
    agent_folder: Annotated[
        str,
        msgspec.Meta(
            pattern="^(/[^ ]*)?$",
            description="Where the portal puts the agent's code for the nodes; every node must see this folder under "
            "the same path. Empty: /opt/madang/agent as root, agent in the state folder otherwise.",
        ),
    ] = ""
    agent_days: Annotated[
        int, msgspec.Meta(ge=1, description="Former versions of the agent's code are kept so long (days).")
    ] = 30
    agent_command: Annotated[
        tuple[str, ...],
        msgspec.Meta(
            min_length=1,
            description="What a job runs: {agent} is the folder of the agent's code, {marker} the word that marks the "
            "session's processes.",
        ),
    ] = AGENT_COMMAND
    node_path: Annotated[str, msgspec.Meta(min_length=1, description="PATH of an agent on its node.")] = NODE_PATH
    portal_urls: Annotated[
        tuple[str, ...],
        msgspec.Meta(description="Where agents on the nodes reach the portals, tried in turn. Empty: http.public_url."),
    ] = ()
    portal_ca: Annotated[
        str,
        msgspec.Meta(description="File (PEM) of those who sign the portals' certificates. Empty: the nodes' own."),
    ] = ""
    first_door_port: Annotated[
        int, msgspec.Meta(ge=1024, le=65535, description="First port on a node for the doors of agents.")
    ] = 6900
    last_door_port: Annotated[
        int, msgspec.Meta(ge=1024, le=65535, description="Last port on a node for the doors of agents.")
    ] = 6999

    def __post_init__(self) -> None:
        """What two settings must be to each other. Raises ValueError."""
        if self.first_door_port > self.last_door_port:
            raise ValueError(f"first_door_port {self.first_door_port} is above last_door_port {self.last_door_port}")

    @property
    def door_ports(self) -> tuple[int, int]:
        return self.first_door_port, self.last_door_port


def agent_folder(settings: Settings) -> Path:
    """Where the agent's code for the nodes is put."""
    chosen = settings[SlurmSettings].agent_folder
    if chosen:
        return Path(chosen)
    return Path("/opt/madang/agent") if as_root() else settings.state_folder / "agent"


def portal_urls(settings: Settings) -> tuple[str, ...]:
    """Where agents on the nodes reach the portals."""
    return settings[SlurmSettings].portal_urls or (settings.public_url,)


def portal_certificates(settings: Settings) -> str:
    """PEM of those who sign the portals' certificates, "" for the nodes' own. Raises OSError."""
    file = settings[SlurmSettings].portal_ca
    return Path(file).read_text(encoding="utf-8") if file else ""
