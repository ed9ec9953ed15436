"""What a probe calls a port in the block that it prints: a name that still means this port after a replug."""

from __future__ import annotations

from pathlib import Path

from edge_agent.workshop.prober import lasting


def udev(root: Path, terminal: str, links: dict[str, list[str]]) -> None:
    """A terminal with these links, and the devices that claim each, as systemd-udevd keeps them."""
    (root / terminal).touch()
    for link, claimants in links.items():
        path = root / link
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(root / terminal)
        folder = root / "links" / link.replace("/", "\\x2f")
        folder.mkdir(parents=True, exist_ok=True)
        for claimant in claimants:
            (folder / claimant).touch()


def name(root: Path, terminal: str) -> str:
    found = lasting(str(root / terminal), root / "serial", root / "links")
    return found.removeprefix(f"{root}/")


def test_the_by_id_link_is_the_name_of_a_port(tmp_path: Path) -> None:
    own, place = "serial/by-id/usb-FTDI_A50285BI-if00-port0", "serial/by-path/pci-0-usb-0:1:1.0-port0"
    udev(tmp_path, "ttyUSB0", {own: ["c188:0"], place: ["c188:0"]})
    assert name(tmp_path, "ttyUSB0") == own


def test_a_by_id_link_that_two_ports_claim_is_none(tmp_path: Path) -> None:
    shared = "serial/by-id/usb-1a86_USB_Serial-if00-port0"
    first, second = "serial/by-path/pci-0-usb-0:1:1.0-port0", "serial/by-path/pci-0-usb-0:2:1.0-port0"
    udev(tmp_path, "ttyUSB0", {shared: ["c188:0"], first: ["c188:0"]})
    assert name(tmp_path, "ttyUSB0") == shared
    udev(tmp_path, "ttyUSB1", {shared: ["c188:1"], second: ["c188:1"]})
    assert name(tmp_path, "ttyUSB1") == second
    assert name(tmp_path, "ttyUSB0") == first


def test_a_port_without_links_keeps_its_path(tmp_path: Path) -> None:
    (tmp_path / "ttyS0").touch()
    assert name(tmp_path, "ttyS0") == "ttyS0"
