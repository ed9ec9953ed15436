"""The agent on real USB devices in a guest: HID keyboard, HID POS scanner and scale, usb-serial; plugged in and out.

Each test makes the floor that it needs, so that one can be run by itself: `-k twins`. `keep.py` saves the boot.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import pytest
from guest_floor import PATIENCE, PORTS, Floor

pytestmark = pytest.mark.timeout(1500)

Count = Callable[[str, object], None]
HID_SCALE = PORTS["scale"][1]
GS1 = "010690123456789210AB12\x1d3103000500"
LONG = "https://example.org/" + "0123456789" * 14
STALE = {"bench": 3.0, "scale": 5.0}
"""Seconds without a reading after which a driver says that there is no device any more (its `stale_after`)."""
LAID = {mass * 1_000 for mass in (500, 750, 1_000, 1_250, 2_000, 2_345, 3_000, 4_000, 5_000)}
"""Milligrams that the tests lay on scales and wait for. What a guest that is kept up has recorded is of these too."""
TRIES = 3
SLACK = 2.0
"""Seconds that an emulated machine may be later than it was with a reading just before."""


@pytest.mark.soak("guest: the udev rule gives the HID scale to plugdev; without it the error names the rule")
def test_rights(floor: Floor) -> None:
    floor.bare("scale")
    refused = floor.call("opens", HID_SCALE, [])
    assert refused.startswith("PermissionDenied")
    assert "60-trace-edge-agent.rules" in refused
    assert "plugdev" in refused
    assert floor.call("opens", HID_SCALE, ["plugdev"]) == "opened"


@pytest.mark.soak("guest: of two equal HID scales none is taken, and the words say how to tell them apart")
def test_equal_scales_refused(floor: Floor) -> None:
    floor.bare("scale", "twin")
    said = floor.call("opens", HID_SCALE)
    assert said.startswith("BadSettings")
    assert "plugged in 2 times" in said
    assert said.count("?port=") == 2


@pytest.mark.soak("guest: the by-id link that two usb-serial adapters of one make and number share is refused")
def test_twins_share_a_link(floor: Floor) -> None:
    floor.bare("left")
    link = "/dev/serial/by-id/usb-QEMU_QEMU_USB_SERIAL_0001-if00-port0"
    first = floor.link(link)
    assert floor.call("opens", f"serial:{link}") == "opened"
    floor.plug("right")
    second = floor.link("/dev/serial/by-path/pci-0000:00:05.0-usb-0:4:1.0-port0")
    assert first != second
    said = floor.call("opens", f"serial:{link}")
    assert said.startswith("BadSettings")
    assert "?port=1-3" in said
    assert "?port=1-4" in said
    probed = floor.call("python", f"from edge_agent.workshop.prober import lasting; print(lasting('/dev/{first}'))")
    assert probed == "/dev/serial/by-path/pci-0000:00:05.0-usb-0:3:1.0-port0", "what a probe would print"


@pytest.mark.soak("guest: without the agent another program hears what a HID keyboard types")
def test_keyboard_without_agent(floor: Floor) -> None:
    """The teeth of `test_keyboard_scanner`."""
    floor.bare("gun")
    assert floor.call("scan", "gun", "123", None)["heard_by_another"] is True


@pytest.mark.soak("guest: a HID keyboard types a GS1 code with GS as Alt+029, and no other program hears it")
def test_keyboard_scanner(floor: Floor) -> None:
    floor.ready("gun")
    record = floor.scan("gun", GS1, separator="alt")
    assert record["text"] == GS1
    assert record["typed"]["heard_by_another"] is False


@pytest.mark.soak("guest: a code of 160 characters in three reports of a HID POS scanner")
def test_pos_scanner(floor: Floor) -> None:
    floor.ready("pos")
    record = floor.scan("pos", "]Q1" + LONG)
    assert record["text"] == LONG
    assert record["typed"]["reports"] == 3


@pytest.mark.soak("guest: weighings from a HID POS scale and from a scale behind a usb-serial")
@pytest.mark.parametrize(("device", "indication"), [("scale", "1.250"), ("bench", "1.250")])
def test_weighing(floor: Floor, device: str, indication: str) -> None:
    floor.ready(device)
    record = floor.weigh(device, 1_250_000)
    assert (float(record["indication"]), record["unit"], record["net_mg"]) == (float(indication), "kg", 1_250_000)


@pytest.mark.soak("guest: HID devices unplugged, told lost, plugged in and read again, twice")
@pytest.mark.parametrize("device", ["gun", "pos", "scale"])
def test_replug_hid(floor: Floor, device: str, record_property: Count) -> None:
    floor.ready(device)
    for round_number in (1, 2):
        floor.unplug(device)
        floor.becomes(device, "lost")
        floor.comes_back(device, lambda: floor.plug(device))
        if device == "scale":
            assert floor.weigh("scale", round_number * 500_000)["net_mg"] == round_number * 500_000
        else:
            assert floor.scan(device, f"690102822516{round_number}")["text"] == f"690102822516{round_number}"
    record_property("count", "2 rounds")


@pytest.mark.soak(
    "guest: a usb-serial named by its by-id link, unplugged, told lost, plugged in and read again, thrice"
)
def test_replug_usb_serial(floor: Floor, record_property: Count) -> None:
    floor.ready("bench")
    for kilograms in (1, 2, 3):
        floor.unplug("bench")
        floor.becomes("bench", "lost")
        assert "gone" in floor.reason("bench")
        floor.comes_back("bench", lambda: floor.plug("bench"))
        assert floor.weigh("bench", kilograms * 1_000_000)["net_mg"] == kilograms * 1_000_000
    record_property("count", "3 rounds")


@pytest.mark.soak(
    "guest: a usb-serial comes back in another socket and as another ttyUSB: followed by its serial number"
)
@pytest.mark.parametrize("device", ["bench", "roam"])
def test_moved_usb_serial(floor: Floor, device: str) -> None:
    """By the by-id link, and by vendor, product and serial number; another adapter has taken its ttyUSB meanwhile."""
    other = "right" if device == "bench" else "left"
    floor.ready(device)
    before = _port(floor, device)
    floor.unplug(device)
    floor.becomes(device, "lost")
    floor.plug(other)
    floor.becomes(other, "connected")
    floor.comes_back(device, lambda: floor.plug(device, socket_number=5))
    after = _port(floor, device)
    assert after[0] != before[0], "it was to be in another socket"
    assert after[1] != before[1], "it was to be another ttyUSB"
    assert floor.weigh(device, 2_345_000)["net_mg"] == 2_345_000


def _port(floor: Floor, device: str) -> tuple[str, str]:
    """The socket and the ttyUSB of an adapter with a serial number."""
    serial = {"bench": "BENCH01", "roam": "ROAM01"}[device]
    links = floor.call("links")
    (name,) = [name for link, name in links.items() if serial in link]
    (path,) = [link for link, named in links.items() if "/by-port/" in link and named == name]
    return path, name


@pytest.mark.soak(
    "guest: two usb-serial adapters of one make and number, told apart by their sockets, plugged in crosswise"
)
def test_twins_by_socket(floor: Floor) -> None:
    floor.ready("left", "right")
    assert floor.weigh("left", 1_000_000)["net_mg"] == 1_000_000
    assert floor.weigh("right", 2_000_000)["net_mg"] == 2_000_000
    for device in ("left", "right"):
        floor.unplug(device)
        floor.becomes(device, "lost")
    for device in ("right", "left"):  # the other way round: each gets the other's ttyUSB
        floor.comes_back(device, partial(floor.plug, device))
    heard = len(floor.heard)
    assert floor.weigh("left", 3_000_000)["net_mg"] == 3_000_000
    assert floor.records("right", heard) == []
    assert floor.weigh("right", 4_000_000)["net_mg"] == 4_000_000


def _begins_to_weigh(floor: Floor, device: str) -> float:
    """Put goods on a scale on which they swing for minutes; how late the page may be, by how late it is with that."""
    at = float(floor.call("now"))
    floor.lay(device, 1_250_000, settle_s=60.0)
    return float(floor.shows(device, "moving")["at"] - at) + SLACK


@pytest.mark.soak("guest: unplugged in the middle of a weighing: no device within its freshness time, no wrong weight")
@pytest.mark.parametrize("device", ["scale", "bench"])
def test_unplugged_while_weighing(floor: Floor, device: str, record_property: Count) -> None:
    floor.ready(device)
    heard = len(floor.heard)
    late = _begins_to_weigh(floor, device)
    at = floor.unplug(device)
    view = floor.shows(device, "disconnected")
    took = view["at"] - at
    assert view["weight"] is None
    assert took < STALE[device] + late
    record_property("count", f"no device after {took:.1f} s; a reading took {late - SLACK:.1f} s")
    floor.comes_back(device, lambda: floor.plug(device))
    if device == "bench":  # its platter has stayed as it was
        floor.shows(device, "moving", "loaded-at-start")
    floor.lay(device, 0)
    assert floor.weigh(device, 750_000)["net_mg"] == 750_000
    assert [record["net_mg"] for record in floor.records(device, heard)] == [750_000]


@pytest.mark.soak(
    "guest: an instrument switched off in the middle of a weighing, its adapter left: no device, no weight"
)
def test_switched_off_while_weighing(floor: Floor, record_property: Count) -> None:
    floor.ready("bench")
    heard = len(floor.heard)
    late = _begins_to_weigh(floor, "bench")
    floor.switch_off("bench")
    at = float(floor.call("now"))
    view = floor.shows("bench", "stale")
    took = view["at"] - at
    assert view["weight"] is None
    assert STALE["bench"] - late < took < STALE["bench"] + late
    record_property("count", f"no device after {took:.1f} s; a reading took {late - SLACK:.1f} s")
    floor.switch_on("bench")
    floor.becomes("bench", "connected")
    floor.shows("bench", "moving", "loaded-at-start")
    assert floor.records("bench", heard) == []
    floor.lay("bench", 0)
    assert floor.weigh("bench", 750_000)["net_mg"] == 750_000
    assert [record["net_mg"] for record in floor.records("bench", heard)] == [750_000]


@pytest.mark.soak("guest: the agent stopped while a keyboard types 60 keys: the kernel drops some, the scan is refused")
def test_keys_lost(floor: Floor, record_property: Count) -> None:
    floor.ready("gun")
    heard = len(floor.heard)
    before = floor.reasons("gun").get("dropped", 0)
    floor.call("pause")
    floor.call("scan", "gun", "9" * 60, None)
    floor.call("resume")
    floor.wait(
        "the refusal of a scan that lost keys", lambda: floor.reasons("gun").get("dropped", 0) > before, PATIENCE
    )
    assert floor.scan("gun", "4006381333931")["text"] == "4006381333931"
    assert [record["text"] for record in floor.records("gun", heard)] == ["4006381333931"]
    record_property("count", f"{floor.reasons('gun')['dropped'] - before} refused")


@pytest.mark.soak("guest: an equal HID scale takes the place of one that is pulled out")
def test_equal_scale_takes_over(floor: Floor) -> None:
    floor.ready("scale")
    floor.unplug("scale")
    floor.becomes("scale", "lost")
    floor.comes_back("scale", lambda: floor.plug("twin"))
    assert floor.call("kernel_driver", "twin") == "usbfs"


@pytest.mark.soak("guest: the chain of what was kept there verifies, and every weighing in it is one that was made")
def test_chain(floor: Floor, record_property: Count) -> None:
    floor.ready("bench")
    floor.weigh("bench", 5_000_000)
    verified = floor.call("command", "records", "verify")
    assert verified["exit"] == 0, verified
    exported = floor.call("command", "records", "export", "--format", "jsonl")
    kept = [json.loads(line) for line in exported["out"].splitlines()]
    masses = {record["data"]["net_mg"] for record in kept if record["type"] == "trace.weighing.v1"}
    assert 5_000_000 in masses
    assert masses <= LAID, "a weight that nobody laid"
    record_property("count", f"{len(kept)} records")


@pytest.mark.soak("guest: the kernel's driver is off HID scale and scanner while the agent reads, and back at its end")
def test_kernel_driver_comes_back(floor: Floor) -> None:
    for _ in range(TRIES):
        floor.ready("pos", "scale", "gun")
        taken = [floor.call("kernel_driver", gadget) for gadget in ("pos", "scale", "gun")]
        assert taken == ["usbfs", "usbfs", "usbhid"]
        assert floor.stop_agent() == 0
        if not any(line["event"] == "threads.never_stopped" for line in floor.call("last_log")):
            break  # it promises to end within five seconds, which an emulated machine may be too slow for
    assert [floor.call("kernel_driver", gadget) for gadget in ("pos", "scale")] == ["usbhid", "usbhid"]
