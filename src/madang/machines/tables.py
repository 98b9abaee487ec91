"""What is stored of machines. Times in seconds since the epoch, sizes in bytes; what has a structure, as JSON."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, Integer, LargeBinary, String, Table

from madang.kernel.database import metadata

Bytes = BigInteger().with_variant(Integer, "sqlite")

machines = Table(
    "machines",
    metadata,
    Column("id", String(36), primary_key=True),  # libvirt's UUID of it
    Column("person_id", String(32), nullable=False),
    Column("person_name", String(80), nullable=False),
    Column("name", String(80), nullable=False),
    Column("notes", String(2000), nullable=False),
    Column("host", String(40), nullable=False),
    Column("state", String(12), nullable=False),
    Column("cpus", Integer, nullable=False),
    Column("memory_bytes", Bytes, nullable=False),
    Column("firmware", String(8), nullable=False),
    Column("network", String(80), nullable=False),
    Column("disk_path", String(4096), nullable=False),
    Column("disk_bytes", Bytes, nullable=False),
    Column("disk_used", Bytes),
    Column("boot_order", String(12)),
    Column("created_at", Double, nullable=False),
    Column("version", Integer, nullable=False),
    Column("edition", Integer, nullable=False),
    Column("media", LargeBinary, nullable=False),
    Column("missing", LargeBinary, nullable=False),
    Column("run", LargeBinary),
    Column("unknown_since", Double),
    Column("asked_off_at", Double),
    Column("next_boot", String(12)),
    Column("next_boot_why", String(12)),
    Column("installation", String(20), nullable=False),
    Column("installing_from", String(4096)),
    Column("installed_at", Double),
    Column("sign", String(12)),
    Column("grew_at", Double),
    Column("outside", LargeBinary, nullable=False),
    Column("dismissed", LargeBinary, nullable=False),
    Column("protected", Boolean, nullable=False),
    Column("adopted", Boolean, nullable=False),
    Column("template", Boolean, nullable=False),
    Column("offered", Boolean, nullable=False),
    Column("parent", String(36)),
    Column("cloned_from", String(80)),
    Column("shares", LargeBinary, nullable=False),  # as in the table below, to be shown
    Column("failure", LargeBinary),
    Column("backup_plan", LargeBinary),
    Index("ix_machines_person_id_created_at", "person_id", "created_at"),
    Index("ix_machines_parent", "parent"),
)

# Whose machines are shared with whom, to be found by person.
shares = Table(
    "machine_shares",
    metadata,
    Column("machine_id", String(36), primary_key=True),
    Column("person_id", String(32), primary_key=True),
    Index("ix_machine_shares_person_id", "person_id"),
)

# Further disks of machines; those without a machine wait for one.
disks = Table(
    "machine_disks",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("person_id", String(32), nullable=False),
    Column("name", String(80), nullable=False),
    Column("host", String(40), nullable=False),
    Column("path", String(4096), nullable=False),
    Column("size_bytes", Bytes, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("machine_id", String(36)),
    Index("ix_machine_disks_person_id", "person_id"),
    Index("ix_machine_disks_machine_id", "machine_id"),
)

# What is meant to happen to a machine, at work or waiting, and for a while what has happened.
operations = Table(
    "machine_operations",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("machine_id", String(36), nullable=False),
    Column("person_id", String(32), nullable=False),
    Column("kind", String(24), nullable=False),
    Column("state", String(12), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("asked_by", String(80), nullable=False),
    Column("given", LargeBinary, nullable=False),
    Column("holder", String(300)),
    Column("beat", Integer, nullable=False),
    Column("progress", Double),
    Column("stage", String(40), nullable=False),
    Column("cancel", Boolean, nullable=False),
    Column("result", LargeBinary, nullable=False),
    Column("failure", LargeBinary),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("version", Integer, nullable=False),
    Index("ix_machine_operations_machine_id_created_at", "machine_id", "created_at"),
    Index("ix_machine_operations_ended_at", "ended_at"),
)

# Boot orders that a person has given a name.
boot_presets = Table(
    "machine_boot_presets",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("person_id", String(32), nullable=False),
    Column("name", String(80), nullable=False),
    Column("boot_order", String(12), nullable=False),
    Column("created_at", Double, nullable=False),
    Index("ix_machine_boot_presets_person_id", "person_id"),
)

# ISO files on their way; how far each is, its own file says.
uploads = Table(
    "iso_uploads",
    metadata,
    Column("id", String(20), primary_key=True),
    Column("person_id", String(32), nullable=False),
    Column("name", String(200), nullable=False),
    Column("size", Bytes, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("used_at", Double, nullable=False),
    Index("ix_iso_uploads_person_id", "person_id"),
)
