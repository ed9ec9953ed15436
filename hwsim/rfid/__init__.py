"""Simulated readers of RFID tags and cards, written from their manuals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from hwsim.instruments import Instrument
from hwsim.rfid.field import Field
from hwsim.rfid.polled import M100, PN532, R2000, Reader18, Reader288
from hwsim.rfid.pushed import RDM6300, Mercury, Wiegand

READERS: Final[Mapping[str, Callable[[Field], Instrument]]] = MappingProxyType(
    {
        "uhf-m100": M100,
        "uhf-r2000": R2000,
        "uhf-reader18": Reader18,
        "uhf-reader288": Reader288,
        "mercury": Mercury,
        "rdm6300": RDM6300,
        "pn532": PN532,
        "wiegand": Wiegand,
    }
)
"""Readers on a line, by the name of their family. LLRP is a server of its own: `hwsim.rfid.llrp`."""

TITLES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "uhf-m100": ("UHF module M100 / R200, asked for each round", "R200 user protocol V2.3.3"),
        "uhf-r2000": ("UHF reader on Impinj R2000, asked for each round", "IND903 serial protocol"),
        "uhf-reader18": ("UHFReader18, asked for each inventory", "UHFReader18 user's manual"),
        "uhf-reader288": ("UHFReader288 with antennas, asked for each inventory", "UHFReader288 user's manual"),
        "mercury": ("ThingMagic module, reads continuously once started", "M6e Nano frames as SparkFun documents them"),
        "rdm6300": ("125 kHz reader, repeats a card while it is there", "RDM6300 data sheet"),
        "pn532": ("13.56 MHz reader on a serial line", "NXP UM0701-02"),
        "wiegand": ("Wiegand 26 behind a converter", "26-bit format H10301"),
        "pcsc": ("contactless card in the virtual reader of a real pcscd: `hwsim card`", "vsmartcard's documentation"),
        "llrp": ("network UHF reader with handshake and keepalives, tcp only", "EPCglobal LLRP 1.0.1"),
    }
)
"""Title and source of each family that can be played."""

ID_BYTES: Final[Mapping[str, int]] = MappingProxyType({"rdm6300": 5, "pn532": 4, "wiegand": 3})
"""Bytes of a card's number, where it is not an EPC of twelve."""
