"""What firmware says it boots from, in its own words (SeaBIOS 1.16 and edk2 2022.11 of Debian 12)."""

from pathlib import Path

from madang.machines.hosts import boot_log

START = b"SeaBIOS (version 1.16.2-debian-1.16.2-1)\nBUILD: gcc\nenter handle_19:\n  NULL\n"
DISK = b"Booting from Hard Disk...\nBooting from 0000:7c00\n"
CD = b"Booting from DVD/CD...\nBooting from 0000:7c00\n"
EMPTY_CD = (
    b"Booting from DVD/CD...\nDevice reports MEDIUM NOT PRESENT - 2 tries left\n"
    b"Boot failed: Could not read from CDROM (code 0003)\nenter handle_18:\n  NULL\n"
)
NETWORK = b"Booting from ROM...\nBooting from c900:0382\n"
NOTHING = b"No bootable device.\n"

UEFI_CD = (
    b'BdsDxe: loading Boot0001 "UEFI QEMU DVD-ROM QM00001 " from PciRoot(0x0)/Pci(0x1F,0x2)/Sata(0x0,0xFFFF,0x0)\r\n'
    b'BdsDxe: starting Boot0001 "UEFI QEMU DVD-ROM QM00001 " from PciRoot(0x0)/Pci(0x1F,0x2)/Sata(0x0,0xFFFF,0x0)\r\n'
)
UEFI_FAILED = UEFI_CD + b'BdsDxe: failed to start Boot0001 "UEFI QEMU DVD-ROM QM00001 ": Not Found\r\n'
UEFI_DISK = b'\x1b[2JBdsDxe: starting Boot0002 "UEFI Misc Device" from PciRoot(0x0)/Pci(0x2,0x3)/Pci(0x0,0x0)\r\n'
UEFI_INSTALLED = (
    b'BdsDxe: starting Boot0004 "debian" from HD(1,GPT,AAAA-BB,0x800,0x100000)/\\EFI\\debian\\shimx64.efi\r\n'
)
UEFI_SHELL = (
    b'BdsDxe: failed to load Boot0003 "UEFI Misc Device" from PciRoot(0x0)/Pci(0x2,0x3)/Pci(0x0,0x0): Not Found\r\n'
    b'BdsDxe: loading Boot0004 "EFI Internal Shell" from Fv(7CB8BDC9-F8EB-4F34-AAEA)/FvFile(7C04A583-9E3E-4F1C)\r\n'
    b'BdsDxe: starting Boot0004 "EFI Internal Shell" from Fv(7CB8BDC9-F8EB-4F34-AAEA)/FvFile(7C04A583-9E3E-4F1C)\r\n'
)
UEFI_NETWORK = b'BdsDxe: starting Boot0003 "UEFI PXEv4 (MAC:525400123456)" from PciRoot(0x0)/MAC(525400123456,0x1)\r\n'


def test_seabios_says_what_it_takes() -> None:
    for said, device in (
        (b"", None),
        (START, None),
        (START + DISK, "hd"),
        (START + CD, "cdrom"),
        (START + NETWORK, "network"),
        (START + EMPTY_CD, None),
        (START + EMPTY_CD + DISK, "hd"),
        (START + EMPTY_CD + NOTHING, None),
    ):
        assert boot_log.device_of(said, "bios") == device, said


def test_a_restart_begins_anew() -> None:
    assert boot_log.device_of(START + CD + START, "bios") is None
    assert boot_log.device_of(START + CD + START + DISK, "bios") == "hd"


def test_ovmf_says_what_it_takes() -> None:
    for said, device in (
        (b"Linux version 6.1\r\n", None),
        (UEFI_CD, "cdrom"),
        (UEFI_FAILED, None),
        (UEFI_FAILED + UEFI_DISK, "hd"),
        (UEFI_INSTALLED + b"[    0.0] Linux\r\n" * 100, "hd"),
        (UEFI_NETWORK, "network"),
        (UEFI_CD + UEFI_SHELL, None),
    ):
        assert boot_log.device_of(said, "uefi") == device, said


def test_a_log_that_grew_is_read_again(tmp_path: Path) -> None:
    log = tmp_path / "boot.log"
    assert boot_log.read(str(log), "bios") == (None, None)
    log.write_bytes(START + CD)
    assert boot_log.read(str(log), "bios") == ("cdrom", log.stat().st_mtime)
    log.write_bytes(START + CD + START + DISK)
    assert boot_log.read(str(log), "bios") == ("hd", log.stat().st_mtime)
    assert boot_log.read(str(tmp_path), "bios") == (None, None)
