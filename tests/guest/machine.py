"""A QEMU guest with Debian's kernel and this machine's file system: real USB devices, plugged in and out.

The kernel package is fetched with apt (not installed) into `build/guest`; the initramfs holds busybox and those modules
that the guest needs; its root is the host's, read-only over 9p, with changes in memory. All of it is emulated (TCG),
so that it runs where KVM does not, in half a minute from power-on to the first line of Python.

`Machine` is the host's side: the console is read line by line, QMP plugs devices in and out.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final

HERE: Final = Path(__file__).parent
MODULES: Final = """
    virtio_pci virtio_pci_legacy_dev virtio_pci_modern_dev virtio virtio_ring 9p 9pnet 9pnet_virtio netfs fscache
    overlay xhci-hcd xhci-pci usbcore usb-common hid usbhid hid-generic evdev usbserial ftdi_sio configfs
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


class GuestFailed(Exception):
    """The guest could not be built, or did not say in time what it should."""


def missing() -> list[str]:
    """Packages that have to be installed first."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return sorted({package for command, package in NEEDED.items() if shutil.which(command, path=path) is None})


def build(folder: Path) -> tuple[Path, Path]:
    """Kernel and initramfs, made once for each kernel package."""
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


class Machine:
    """A running guest; a context manager."""

    def __init__(
        self, kernel: Path, initramfs: Path, folder: Path, *, python: Path, program: Path, serial: int
    ) -> None:
        """`python` runs `program` as the guest's only work; `serial` is the port of a serial device on loopback."""
        self._log = folder / "console.log"
        self._qmp_path = folder / "qmp"
        append = f"console=ttyS0 quiet panic=1 rdinit=/init trace.python={python} trace.program={program}"
        self._command = [
            *(
                "qemu-system-x86_64",
                "-accel",
                "tcg,thread=multi",
                "-M",
                "pc",
                "-cpu",
                "Nehalem",
                "-smp",
                "2",
                "-m",
                "768",
            ),
            *("-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"),
            *("-kernel", str(kernel), "-initrd", str(initramfs), "-append", append),
            *("-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"),
            *("-device", "qemu-xhci,id=xhci", "-qmp", f"unix:{self._qmp_path},server=on,wait=off"),
            *("-chardev", f"socket,id=ser,host=127.0.0.1,port={serial},reconnect=1"),
        ]
        self.lines: queue.Queue[str | None] = queue.Queue()
        self._process: subprocess.Popen[bytes] | None = None
        self._qmp: Any = None

    def __enter__(self) -> Machine:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        threading.Thread(target=self._read, name="console", daemon=True).start()
        until = time.monotonic() + 30
        while not self._qmp_path.exists() and time.monotonic() < until:
            time.sleep(0.1)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(30)
        connection.connect(str(self._qmp_path))
        self._qmp = connection.makefile("rw")
        self._qmp.readline()
        self.order("qmp_capabilities")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(30)

    def order(self, name: str, **arguments: object) -> object:
        """One QMP command; raises `GuestFailed` with what QEMU answers."""
        self._qmp.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self._qmp.flush()
        while True:
            answer = json.loads(self._qmp.readline())
            if "error" in answer:
                raise GuestFailed(f"{name}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def plug(self, **device: object) -> None:
        """Plug a device in; one that is just being unplugged holds its line for a moment yet."""
        until = time.monotonic() + 60
        while True:
            try:
                self.order("device_add", **device)
            except GuestFailed as problem:
                if "in use" not in str(problem) or time.monotonic() > until:
                    raise
                time.sleep(0.5)
            else:
                return

    def line(self, timeout: float) -> str:
        """The next line of the console. Raises `GuestFailed` when none comes, or the guest has ended."""
        try:
            line = self.lines.get(timeout=timeout)
        except queue.Empty:
            raise GuestFailed(f"the guest said nothing for {timeout:g} s; see {self._log}") from None
        if line is None:
            raise GuestFailed(f"the guest has ended; see {self._log}")
        return line

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        with self._log.open("wb") as log:
            for line in self._process.stdout:
                log.write(line)
                log.flush()
                self.lines.put(line.decode("utf-8", "replace").strip())
        self.lines.put(None)
