"""A tiny installer ISO: Debian's kernel, a busybox, and what it takes to install itself on a disk.

From CD it partitions vda, copies itself there and restarts; where it finds itself installed, it stays and says so. From
disk it counts its starts in a file. On the first serial port it says what it does and runs each line as a command.

The cloud kernel starts under TCG in a third of the time of Debian's usual one, but knows no SATA, so it cannot read the
CD that it came from: what it installs is in its memory.
"""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNPACKED = ROOT / ".cache" / "unpacked"
LABEL = "TINY"
PROGRAMS = (
    "/sbin/sfdisk",
    "/sbin/mke2fs",
    "/sbin/resize2fs",
    "/usr/bin/partx",
    "/usr/bin/extlinux",
    "/usr/sbin/qemu-ga",
)
MODULES = (
    "virtio_pci", "virtio_blk", "virtio-rng", "virtio_console", "crc32c_generic", "ext4",
    "virtio_scsi", "sr_mod", "isofs",
)  # fmt: skip
ISOLINUX = Path("/usr/lib/ISOLINUX/isolinux.bin")
SYSLINUX = Path("/usr/lib/syslinux")

INIT = r"""#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs run /run
for module in $(cat /modules.list); do insmod /modules/$module; done
exec </dev/ttyS0 >/dev/ttyS0 2>&1
stty -echo
echo 'TINY up'
if grep -q tiny.disk /proc/cmdline; then
  mount /dev/vda1 /new && exec switch_root /new /sbin/tiny-disk
fi
if [ -e /dev/vda1 ]; then echo 'TINY is installed already, from CD'; exec /sbin/tiny-serve; fi
[ -e /dev/vda ] || { echo 'TINY has no disk'; exec /sbin/tiny-serve; }
grep -q tiny.wait /proc/cmdline && { echo 'TINY waits'; exec /sbin/tiny-serve; }
echo 'TINY installs'
set -e
echo 'label: dos
,,L,*' | sfdisk -q /dev/vda
/sbin/mke2fs -q -t ext4 -O ^64bit,^metadata_csum -F /dev/vda1
mount -t ext4 /dev/vda1 /new
cp -a /bin /sbin /usr /lib /lib64 /etc /init /modules /modules.list /new/
mkdir /new/boot /new/proc /new/sys /new/dev /new/run /new/cd /new/new /new/tmp /new/root
mv /payload/* /new/boot/
printf 'DEFAULT tiny\nLABEL tiny\n KERNEL vmlinuz\n INITRD initrd.gz\n APPEND tiny.disk %s\n' "$(cat /etc/append)" \
  >/new/boot/extlinux.conf
extlinux --install /new/boot >/dev/null
cat /usr/lib/mbr.bin >/dev/vda
echo 0 >/new/count
umount /new
sync
echo 'TINY installed'
reboot -f
"""
DISK = r"""#!/bin/busybox sh
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs run /run
exec </dev/ttyS0 >/dev/ttyS0 2>&1
stty -echo
mount -o remount,rw /
echo $(($(cat /count) + 1)) >/count
sync
echo "TINY from disk, start $(cat /count)"
exec /sbin/tiny-serve
"""
SERVE = r"""#!/bin/busybox sh
for port in /sys/class/virtio-ports/*; do
  [ "$(cat $port/name)" != org.qemu.guest_agent.0 ] ||
    qemu-ga -d -m virtio-serial -p /dev/${port##*/} -t /run -f /run/qemu-ga.pid
done
(while :; do setsid sh </dev/tty1 >/dev/tty1 2>&1; done) &
echo 'TINY ready'
while read -r line; do sh -c "$line"; echo "TINY did it: $?"; done
exec sleep 999999
"""
SHUTDOWN = "#!/bin/busybox sh\nsync\ncase \" $* \" in *' -r '*) reboot -f;; *) poweroff -f;; esac\n"
RELEASE = 'NAME="Tiny"\nID=tiny\nVERSION_ID="1"\nPRETTY_NAME="Tiny 1 (test)"\n'
APPEND = "console=ttyS0 quiet nokaslr mitigations=off"
MENU = f"DEFAULT tiny\nLABEL tiny\n KERNEL /boot/vmlinuz\n INITRD /boot/initrd.gz\n APPEND {APPEND}"


def missing() -> list[str]:
    """What of it is not on this machine (scripts/setup test brings it)."""
    wanted = [ISOLINUX, _unpacked("bin/busybox"), *map(Path, PROGRAMS)]
    found = [str(path) for path in wanted if not path.exists()]
    found += [name for name in ("xorriso", "cpio", "modinfo") if shutil.which(name) is None]
    return found if list((UNPACKED / "boot").glob("vmlinuz-*")) else [*found, "a kernel"]


def _unpacked(path: str) -> Path:
    """What came out of Debian's packages: Debian 13 has everything below usr."""
    old = UNPACKED / path
    return old if old.exists() else UNPACKED / "usr" / path


def build(folder: Path, name: str = "tiny.iso", waits: bool = False) -> Path:
    """The ISO. `waits`: it does not install, but waits for commands on the serial port."""
    disc = folder / f"{name}.files"
    (disc / "boot").mkdir(parents=True)
    (disc / "isolinux").mkdir()
    kernel = sorted((UNPACKED / "boot").glob("vmlinuz-*"))[-1]
    payload = folder / f"{name}.payload"
    (payload / "payload").mkdir(parents=True)
    shutil.copy(kernel, disc / "boot/vmlinuz")
    os.link(disc / "boot/vmlinuz", payload / "payload/vmlinuz")
    base = _initrd(folder / f"{name}.root", kernel.name.partition("-")[2])
    (payload / "payload/initrd.gz").write_bytes(base)
    # One after the other: the kernel unpacks both.
    (disc / "boot/initrd.gz").write_bytes(base + b"\0" * (-len(base) % 4) + _packed(payload))
    shutil.rmtree(payload)
    shutil.copy(ISOLINUX, disc / "isolinux")
    shutil.copy(SYSLINUX / "modules/bios/ldlinux.c32", disc / "isolinux")
    (disc / "isolinux/isolinux.cfg").write_text(MENU + (" tiny.wait\n" if waits else "\n"))
    iso = folder / name
    _run(
        "xorriso", "-as", "mkisofs", "-quiet", "-V", LABEL, "-r", "-J", "-o", str(iso), "-b", "isolinux/isolinux.bin",
        "-c", "isolinux/boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", str(disc),
    )  # fmt: skip
    shutil.rmtree(disc)
    return iso


def _initrd(root: Path, release: str) -> bytes:
    for name in ("bin", "sbin", "usr/lib", "lib64", "etc", "proc", "sys", "dev", "run", "new", "cd", "modules", "tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(_unpacked("bin/busybox"), root / "bin")
    for program in PROGRAMS:
        _with_libraries(root, program)
    for path, script in (
        ("init", INIT),
        ("sbin/tiny-disk", DISK),
        ("sbin/tiny-serve", SERVE),
        ("sbin/shutdown", SHUTDOWN),
    ):
        (root / path).write_text(script)
        (root / path).chmod(0o755)
    (root / "etc/os-release").write_text(RELEASE)
    (root / "etc/append").write_text(APPEND + "\n")
    shutil.copy(SYSLINUX / "mbr/mbr.bin", root / "usr/lib/mbr.bin")
    names = [_module(root, path) for path in _modules(release)]
    (root / "modules.list").write_text("\n".join(names) + "\n")
    packed = gzip.compress(_packed(root), 1)
    shutil.rmtree(root)
    return packed


def _packed(root: Path) -> bytes:
    files = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    command = ["cpio", "-o", "-H", "newc", "--quiet", "-R", "0:0"]
    return subprocess.run(command, cwd=root, input=files.encode(), capture_output=True, check=True).stdout


def _with_libraries(root: Path, program: str) -> None:
    told = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    libraries = [word for line in told.splitlines() for word in line.split() if word.startswith("/")]
    for path in (program, *libraries):
        to = root / path.lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(os.path.realpath(path), to)


def _modules(release: str) -> list[Path]:
    """The modules wanted and those they need, in the order in which they can be loaded."""
    there = {
        path.name.partition(".ko")[0].replace("_", "-"): path
        for path in _unpacked(f"lib/modules/{release}").rglob("*.ko*")
    }
    order: list[Path] = []

    def add(name: str) -> None:
        path = there.get(name.replace("_", "-"))
        if path is None or path in order:
            return  # built in
        for needed in _run("modinfo", "-F", "depends", str(path)).strip().split(","):
            if needed:
                add(needed)
        order.append(path)

    for name in MODULES:
        add(name)
    return order


def _module(root: Path, path: Path) -> str:
    name = path.name.partition(".ko")[0] + ".ko"
    data = path.read_bytes()
    (root / "modules" / name).write_bytes(lzma.decompress(data) if path.suffix == ".xz" else data)
    return name


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
