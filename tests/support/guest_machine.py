"""A QEMU guest with Debian's kernel and this machine's file system: real USB devices, plugged in and out.

The kernel package is fetched with apt (not installed) into `build/guest`; the initramfs holds busybox and those modules
that the guest needs; its root is the host's, read-only over 9p, with changes in memory. All of it is emulated (TCG),
so that it runs where KVM does not, in under a minute from power-on to the first line of Python.

`power_on` starts one in a folder of sockets, `Machine` is what the host does to one that runs: QMP plugs USB devices in
and out, `SocketPort` is the far end of the cable behind a usb-serial adapter. `tests/guest/keep.py` leaves one up
between runs.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
HERE: Final = ROOT / "tests" / "guest"
MODULES: Final = """
    virtio_pci virtio_pci_legacy_dev virtio_pci_modern_dev virtio virtio_ring virtio_console 9p 9pnet 9pnet_virtio
    netfs fscache overlay xhci-hcd xhci-pci usbcore usb-common hid usbhid hid-generic evdev usbserial ftdi_sio configfs
    libcomposite usb_f_hid udc-core dummy_hcd
"""
NEEDED: Final = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "depmod": "kmod",
    "cpio": "cpio",
    "apt-get": "apt",
    "udevadm": "udev",
}
CABLES: Final = ("one", "two")
"""The cables that a usb-serial adapter can hang on; each has a simulated instrument at its far end."""
LINE_MEMORY: Final = 4096
"""Bytes of send buffer of a cable. The kernel's least: what a scale sends while nobody reads is lost, not kept."""


class GuestFailed(Exception):
    """The guest could not be built, or did not say in time what it should."""


def missing() -> list[str]:
    """Packages that have to be installed first."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return sorted({package for command, package in NEEDED.items() if shutil.which(command, path=path) is None})


def kept_folder() -> Path:
    """Where the guest that `keep.py` holds has its sockets: short, for a socket's path has 108 bytes at most."""
    mark = hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
    return Path(tempfile.gettempdir()) / f"trace-guest-{os.getuid()}-{mark}"


def build(folder: Path) -> tuple[Path, Path]:
    """Kernel and initramfs; the kernel package is fetched once."""
    folder.mkdir(parents=True, exist_ok=True)
    package = _kernel_package()
    root = folder / package
    kernel, initramfs = root / "vmlinuz", root / "initramfs"
    if not kernel.exists():
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        _run(["apt-get", "download", package], cwd=root)
        (archive,) = root.glob("*.deb")
        _run(["dpkg-deb", "-x", str(archive), str(root / "package")])
        (found,) = (root / "package" / "boot").glob("vmlinuz-*")
        archive.unlink()
        found.rename(kernel)
    _make_initramfs(root, initramfs)
    return kernel, initramfs


def _kernel_package() -> str:
    said = _run(["apt-cache", "depends", "linux-image-amd64"])
    names = [line.split()[-1] for line in said.splitlines() if "Depends: linux-image-" in line]
    if not names:
        raise GuestFailed("apt knows no linux-image-amd64; apt-get update may help")
    return names[0]


def _make_initramfs(root: Path, to: Path) -> None:
    tree = root / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    (modules,) = [path for path in (root / "package").glob("**/lib/modules/*") if path.is_dir()]
    wanted = tree / "lib" / "modules" / modules.name
    names = {name.replace("-", "_") for name in MODULES.split()}
    for module in sorted(modules.rglob("*.ko*")):
        if module.name.split(".")[0].replace("-", "_") in names:
            place = wanted / module.relative_to(modules)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(module, place)
    for listing in modules.glob("modules.*"):
        shutil.copy(listing, wanted)
    _run(["/sbin/depmod", "-b", str(tree), modules.name])
    (tree / "bin").mkdir()
    shutil.copy(shutil.which("busybox") or "/bin/busybox", tree / "bin" / "busybox")
    shutil.copy(HERE / "boot.sh", tree / "init")
    (tree / "init").chmod(0o755)
    files = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    with to.open("wb") as out:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=files.encode(), cwd=tree, stdout=out, check=True)


def _run(command: list[str], cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise GuestFailed(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def power_on(kernel: Path, initramfs: Path, folder: Path, *, python: Path) -> subprocess.Popen[bytes]:
    """Start a guest whose sockets and console log are in `folder`; `python` runs `inside.py` as its only work."""
    for left in folder.glob("*.sock"):
        left.unlink()
    append = f"console=ttyS0 quiet panic=1 rdinit=/init trace.python={python} trace.program={HERE / 'inside.py'}"
    command = [
        *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-M", "pc", "-cpu", "Nehalem", "-smp", "2", "-m", "768"),
        *("-nodefaults", "-display", "none", "-no-reboot", "-serial", f"file:{folder / 'console.log'}"),
        *("-kernel", str(kernel), "-initrd", str(initramfs), "-append", append),
        *("-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"),
        *("-qmp", f"unix:{folder / 'qmp.sock'},server=on,wait=off"),
        *("-device", "virtio-serial-pci", "-chardev", f"socket,id=talk,path={folder / 'talk.sock'},server=on,wait=off"),
        *("-device", "virtserialport,chardev=talk,name=talk", "-device", "qemu-xhci,id=xhci,addr=5,p2=8,p3=8"),
    ]
    for cable in CABLES:
        command += ["-chardev", f"socket,id={cable},path={folder / cable}.sock,server=on,wait=off"]
    with (folder / "qemu.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    until = time.monotonic() + 30
    while not all((folder / f"{name}.sock").exists() for name in ("qmp", "talk", *CABLES)):
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            raise GuestFailed(f"QEMU did not start: {(folder / 'qemu.log').read_text(errors='replace')[-500:]}")
        time.sleep(0.1)
    return process


def power_off(process: subprocess.Popen[bytes]) -> None:
    """Pull its plug."""
    process.kill()
    process.wait(30)


class Machine:
    """A guest that runs, from the host's side: QMP. Raises `GuestFailed` where nothing answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(60)
        try:
            connection.connect(str(folder / "qmp.sock"))
        except OSError as problem:
            raise GuestFailed(f"no guest answers in {folder}: {problem}") from problem
        self._connection = connection
        self._qmp = connection.makefile("rw")
        self._qmp.readline()
        self.order("qmp_capabilities")

    def close(self) -> None:
        """Leave it alone."""
        self._qmp.close()
        self._connection.close()

    def order(self, name: str, **arguments: object) -> Any:
        """One QMP command; raises `GuestFailed` with what QEMU answers."""
        self._qmp.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self._qmp.flush()
        while True:
            answer = json.loads(self._qmp.readline())
            if "error" in answer:
                raise GuestFailed(f"{name}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def plug_adapter(self, cable: str, serial: str, socket_number: int) -> None:
        """Put a usb-serial adapter with a cable into a USB socket of the guest.

        QEMU makes a serial number out of the socket where none is given, and takes another socket each time where that
        is not: then nothing of the adapter would be the same after it was plugged in again.
        """
        until = time.monotonic() + 60
        while True:
            try:
                self.order(
                    "device_add",
                    driver="usb-serial",
                    id=f"adapter-{cable}",
                    chardev=cable,
                    bus="xhci.0",
                    port=str(socket_number),
                    serial=serial,
                    **{"always-plugged": True},
                )
            except GuestFailed as problem:
                # One that is just being unplugged holds its cable for a moment yet.
                if "in use" not in str(problem) or time.monotonic() > until:
                    raise
                time.sleep(0.2)
            else:
                return

    def unplug_adapter(self, cable: str) -> None:
        """Pull it out; nothing happens where none is plugged in."""
        with contextlib.suppress(GuestFailed):  # it is not there
            self.order("device_del", id=f"adapter-{cable}")


class SocketPort:
    """The far end of a cable: a `hwsim.ports.Port` of the instrument behind a usb-serial adapter.

    A line has no memory: nothing goes into it while it is `cut`, and little while nobody reads.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LINE_MEMORY)
        self._connection.connect(str(path))
        self._connection.setblocking(False)
        self.cut = True

    @property
    def name(self) -> str:
        return f"cable:{self._path.stem}"

    def read(self, timeout: float) -> bytes:
        time.sleep(min(timeout, 0.02))
        try:
            return self._connection.recv(4096)
        except OSError:
            return b""

    def write(self, data: bytes) -> int:
        if self.cut:
            return 0
        try:
            return self._connection.send(data)
        except OSError:  # the guest reads no faster, or not at all: lost on the line
            return 0

    def unplug(self) -> None:
        self.cut = True

    def plug(self) -> None:
        self.cut = False

    def close(self) -> None:
        self._connection.close()
