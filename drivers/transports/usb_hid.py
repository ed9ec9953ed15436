"""USB HID devices read through libusb, the only user of pyusb.

    usb:0922:8003                       the only scale of this make
    usb:0c2e:0b61:1234567               the one with this serial number
    usb:0922:8003?port=1-1.4            the one in this socket (the name in /sys/bus/usb/devices), for equal devices
                                        without serial numbers
    usb:0c2e:0b81?interface=1           this interface; without it the first HID interface that is no boot keyboard
                                        or mouse

The device is found anew at each opening, so it may be unplugged and come back, in another socket too unless `port`
is given. The kernel's own driver is taken off the interface while it is open and put back at the end. What is read
begins with the report descriptor, then come whole input reports: `edge_agent.driver.HID_MARK` says in which form.

Source: USB-IF HID 1.11, sections 7.1.1 (descriptor request) and 8.4 (a report longer than a packet ends with a short
one unless it is the longest); pyusb's and libusb's documentation.
"""

from __future__ import annotations

import contextlib
import errno
import math
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import usb.core
import usb.util

from drivers.hid_report import DESCRIPTOR_LIMIT, Descriptor, parse_descriptor
from drivers.hid_stream import packed, preamble
from drivers.port_settings import number, refuse_unknown
from edge_agent.driver import (
    BadSettings,
    Busy,
    Disconnected,
    PermissionDenied,
    PortUrl,
    TransportError,
    TransportSpec,
)

_KEYS: Final = ("port", "interface")
_ADDRESS: Final = re.compile(r"([0-9A-Fa-f]{4}):([0-9A-Fa-f]{4})(?::(.{1,126}))?")
_PORT: Final = re.compile(r"[0-9]{1,3}-[0-9]{1,3}(?:\.[0-9]{1,3}){0,6}")
_RULES: Final = "/usr/lib/udev/rules.d/60-trace-edge-agent.rules"

_HID_CLASS: Final = 3
_BOOT_SUBCLASS: Final = 1
_GET_DESCRIPTOR: Final = 0x06
_SET_REPORT: Final = 0x09
_OUTPUT_REPORT, _FEATURE_REPORT = 0x0200, 0x0300
_TO_HOST_STANDARD_INTERFACE: Final = 0x81
_TO_DEVICE_CLASS_INTERFACE: Final = 0x21
_HID_DESCRIPTOR: Final = 0x21
_REPORT_DESCRIPTOR: Final = 0x22
_CONTROL_TIMEOUT: Final = 1000


class UsbHidTransport:
    """One HID interface of a USB device; see `edge_agent.driver.Transport`. Used by one thread."""

    def __init__(
        self, vendor: int, product: int, *, serial: str | None, port: str | None, interface: int | None
    ) -> None:
        self._vendor = vendor
        self._product = product
        self._serial = serial
        self._port = port
        self._wanted = interface
        self._where = f"usb:{vendor:04x}:{product:04x}" + (f":{serial}" if serial else "")
        self._device: Any = None
        self._interface = -1
        self._detached = False
        self._input: Any = None
        self._output: Any = None
        self._descriptor: Descriptor | None = None
        self._size = 0
        self._waiting = b""
        self._begun = b""

    def open(self) -> None:
        """See `Transport.open`."""
        self.close()
        with _meaning(self._where, self._rule()):
            device = self._find()
        try:
            with _meaning(self._where, self._rule()):
                self._device = device
                self._take(_configuration(device))
        except TransportError:
            self.close()
            raise

    def read(self, timeout: float) -> bytes:
        """See `Transport.read`: the descriptor first, then one whole report."""
        if self._input is None:
            raise Disconnected(f"{self._where} is not open")
        if self._waiting:
            waiting, self._waiting = self._waiting, b""
            return waiting
        until = time.monotonic() + timeout
        while True:
            milliseconds = max(1, math.ceil((until - time.monotonic()) * 1000))  # 0 would wait for ever
            try:
                self._begun += bytes(self._input.read(self._size - len(self._begun), milliseconds))
            except usb.core.USBTimeoutError:
                return b""
            except usb.core.USBError as error:
                raise Disconnected(f"{self._where} is gone: {error}") from error
            if self._whole(self._begun):
                report, self._begun = self._begun, b""
                return packed(report) if report else b""
            if time.monotonic() >= until:
                return b""

    def write(self, data: bytes, timeout: float) -> None:
        """See `Transport.write`: one report. An output report goes by the interrupt pipe where there is one."""
        if self._device is None:
            raise Disconnected(f"{self._where} is not open")
        milliseconds = max(1, math.ceil(timeout * 1000))
        try:
            kind, number = self._kind_of(data)
            if self._output is not None and kind == _OUTPUT_REPORT:
                self._output.write(data, milliseconds)
            else:
                self._device.ctrl_transfer(
                    _TO_DEVICE_CLASS_INTERFACE, _SET_REPORT, kind | number, self._interface, data, milliseconds
                )
        except usb.core.USBError as error:
            raise Disconnected(f"{self._where} did not take {len(data)} bytes: {error}") from error

    def close(self) -> None:
        """See `Transport.close`. The kernel's driver gets the interface back."""
        device, self._device = self._device, None
        self._input = self._output = self._descriptor = None
        self._waiting = self._begun = b""
        if device is None:
            return
        with contextlib.suppress(usb.core.USBError):
            usb.util.release_interface(device, self._interface)
        if self._detached:
            self._detached = False
            with contextlib.suppress(usb.core.USBError, NotImplementedError):
                device.attach_kernel_driver(self._interface)
        with contextlib.suppress(usb.core.USBError):
            usb.util.dispose_resources(device)

    def _find(self) -> Any:
        try:
            found = list(usb.core.find(find_all=True, idVendor=self._vendor, idProduct=self._product))
        except usb.core.NoBackendError as error:
            raise BadSettings(
                f"{self._where}: libusb 1.0 is not installed, and no usb: port works without it: "
                "apt-get install libusb-1.0-0"
            ) from error
        if self._port is not None:
            found = [device for device in found if _socket(device) == self._port]
        if self._serial is not None:
            found = [device for device in found if _serial_number(device) == self._serial]
        if not found:
            place = f" in socket {self._port}" if self._port else ""
            raise Disconnected(f"{self._where} is not plugged in{place}")
        if len(found) > 1:
            sockets = ", ".join(f"?port={_socket(device)}" for device in found)
            raise BadSettings(f"{self._where} is plugged in {len(found)} times; say which: {sockets}")
        return found[0]

    def _take(self, configuration: Any) -> None:
        interface = self._choose(configuration)
        self._interface = interface.bInterfaceNumber
        with contextlib.suppress(NotImplementedError):
            if self._device.is_kernel_driver_active(self._interface):
                self._device.detach_kernel_driver(self._interface)
                self._detached = True
        usb.util.claim_interface(self._device, self._interface)
        for endpoint in interface:
            if usb.util.endpoint_type(endpoint.bmAttributes) != usb.util.ENDPOINT_TYPE_INTR:
                continue
            if usb.util.endpoint_direction(endpoint.bEndpointAddress) == usb.util.ENDPOINT_IN:
                self._input = self._input or endpoint
            else:
                self._output = self._output or endpoint
        if self._input is None:
            raise BadSettings(f"{self._where}: interface {self._interface} has no interrupt endpoint to read")
        text = self._report_descriptor(interface)
        with contextlib.suppress(ValueError):  # the codec says what is wrong with it
            self._descriptor = parse_descriptor(text)
        packet = self._input.wMaxPacketSize & 0x7FF
        longest = self._descriptor.longest if self._descriptor else packet
        self._size = math.ceil(longest / packet) * packet
        self._waiting = preamble(text)

    def _choose(self, configuration: Any) -> Any:
        interfaces = [one for one in configuration if one.bInterfaceClass == _HID_CLASS and not one.bAlternateSetting]
        if self._wanted is not None:
            interfaces = [one for one in interfaces if one.bInterfaceNumber == self._wanted]
        plain = [one for one in interfaces if one.bInterfaceSubClass != _BOOT_SUBCLASS or not one.bInterfaceProtocol]
        if self._wanted is None and interfaces and not plain:
            raise BadSettings(
                f"{self._where} is a keyboard: read it as evdev:{self._vendor:04x}:{self._product:04x} with the driver "
                "hid-keyboard, or set the scanner to HID-POS"
            )
        if not interfaces:
            raise BadSettings(f"{self._where} has no HID interface{'' if self._wanted is None else f' {self._wanted}'}")
        return (plain or interfaces)[0]

    def _report_descriptor(self, interface: Any) -> bytes:
        """The descriptor, or nothing where the device does not tell it: the codec then takes the usual layout."""
        extra = bytes(interface.extra_descriptors)
        length = DESCRIPTOR_LIMIT
        while len(extra) >= 2 and extra[0] >= 2:
            if extra[1] == _HID_DESCRIPTOR and extra[0] >= 9:
                length = min(length, int.from_bytes(extra[7:9], "little") or length)
                break
            extra = extra[extra[0] :]
        with contextlib.suppress(usb.core.USBTimeoutError, usb.core.USBError):
            return bytes(
                self._device.ctrl_transfer(
                    _TO_HOST_STANDARD_INTERFACE,
                    _GET_DESCRIPTOR,
                    _REPORT_DESCRIPTOR << 8,
                    self._interface,
                    length,
                    _CONTROL_TIMEOUT,
                )
            )
        return b""

    def _whole(self, begun: bytes) -> bool:
        """Whether these bytes end a report. A wait that ran out may have brought only its first packets."""
        packet = self._input.wMaxPacketSize & 0x7FF
        if len(begun) >= self._size or len(begun) % packet or not begun:
            return True
        report = self._descriptor.report(begun) if self._descriptor else None
        return report is None or len(begun) >= report.length

    def _kind_of(self, data: bytes) -> tuple[int, int]:
        """Whether a report is one to put out or a feature, and its number; 0 where the device numbers none."""
        number = data[0] if self._descriptor is None or self._descriptor.numbered else 0
        told = self._descriptor
        feature = told is not None and number not in told.outputs and number in told.features
        return (_FEATURE_REPORT if feature else _OUTPUT_REPORT), number

    def _rule(self) -> str:
        return (
            f"this user may not open it: the udev rule for vendor {self._vendor:04x} in {_RULES} gives it to the group "
            f"plugdev (usermod -aG plugdev USER); for another vendor add a line with "
            f'ATTR{{idVendor}}=="{self._vendor:04x}", then udevadm control --reload and plug it in again'
        )


def _configuration(device: Any) -> Any:
    try:
        return device.get_active_configuration()
    except usb.core.USBError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            raise
        device.set_configuration()
        return device.get_active_configuration()


def _socket(device: Any) -> str:
    """Where the device is plugged in, as /sys/bus/usb/devices names it."""
    return f"{device.bus}-{'.'.join(map(str, device.port_numbers or ()))}"


def _serial_number(device: Any) -> str | None:
    """The serial number; None where it has none. Raises USBError where this user may not ask."""
    try:
        return str(device.serial_number) if device.iSerialNumber else None
    except ValueError as error:  # pyusb found no language: the device could not be asked
        raise usb.core.USBError(str(error), errno=errno.EACCES) from error


@contextlib.contextmanager
def _meaning(where: str, rule: str) -> Iterator[None]:
    """What the ways of failing to open mean."""
    try:
        yield
    except usb.core.USBError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            raise PermissionDenied(f"{where}: {rule}") from error
        if error.errno == errno.EBUSY:
            raise Busy(f"{where} is in use by another program") from error
        raise Disconnected(f"{where} cannot be opened: {error}") from error


def _make(url: PortUrl, line: Mapping[str, str]) -> UsbHidTransport:
    refuse_unknown(url, _KEYS)
    address = _ADDRESS.fullmatch(url.address)
    if address is None:
        raise ValueError(
            f"usb:{url.address} is not possible; usb:VENDOR:PRODUCT[:SERIAL] as lsusb shows them would be right, "
            "e.g. usb:0922:8003"
        )
    settings = url.settings()
    port = settings.get("port")
    if port is not None and _PORT.fullmatch(port) is None:
        raise ValueError(f"port={port} is not possible; a name from /sys/bus/usb/devices such as 1-1.4 would be right")
    interface = number(settings, "interface", -1, 0, 255)
    if interface != int(interface):
        raise ValueError(f"interface={settings['interface']} is not possible; a whole number would be right")
    return UsbHidTransport(
        int(address[1], 16),
        int(address[2], 16),
        serial=address[3],
        port=port,
        interface=int(interface) if "interface" in settings else None,
    )


def _check(url: PortUrl, line: Mapping[str, str]) -> None:
    _make(url, line)


SPEC = TransportSpec(
    scheme="usb", title="USB HID device through libusb, usb:VENDOR:PRODUCT[:SERIAL]", check=_check, make=_make
)
