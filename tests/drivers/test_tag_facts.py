"""Antenna and strength of tag reads, which vectors do not hold: frames whose facts are known from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from drivers.vectors import play
from edge_agent.driver import DriverSpec
from edge_agent.model import TagRead

Facts = tuple[str, int | None, int | None]

FRAMES: list[tuple[str, str, list[Facts]]] = [
    ("uhf-m100", "bb02220011d53000e20010710000529b0940b402eb980c7e", [("E20010710000529B0940B402", None, -43)]),
    ("uhf-m100", "aa02220011c9340030751feb705c5904e3d50d703a76efdd", [("30751FEB705C5904E3D50D70", None, -55)]),
    ("uhf-r2000", "a0130189043000e200301666130121155074ef45bf", [("E200301666130121155074EF", 1, -60)]),
    ("uhf-r2000", "a0130189073000e2000017221101441890abcdc536", [("E2000017221101441890ABCD", 8, -60)]),
    ("uhf-r2000", "a013018b173000e28069150000501d63e2a04fd326", [("E28069150000501D63E2A04F", 8, -46)]),
    ("uhf-reader18", "13000103010c0000000000000000000003133f39", [("000000000000000000000313", None, None)]),
    ("uhf-reader288", "1500010304010c49440000000000000a0003346425c0", [("49440000000000000A000334", 3, None)]),
    (
        "uhf-reader288",
        "1b00010302020ce2000017221101441890abcd4104003230386d6a3f",
        [("E2000017221101441890ABCD", 2, None), ("00323038", 2, None)],
    ),
    ("uhf-reader288", "1100ee000109e2e2e2e2e2e2e2e2e2e2f545", [("0109E2E2E2E2E2E2E2E2E2E2", None, None)]),
    (
        "llrp",
        "043d0000002c4095892f00f000228d3005fb63ac1f3841ec88046781000186ce820004ec2ea8354c09880001",
        [("3005FB63AC1F3841EC880467", 1, -50)],
    ),
    (
        "llrp",
        "043d000000374095894100f0002d00f1001800901fb41f712ac9c37ab79d618173188324001a81000186ef820004ec2ea8381f57880001",
        [("1FB41F712AC9C37AB79D618173188324001A", 1, -17)],
    ),
    ("rdm6300", "0236373030334235314336434203", [("67003B51C6", None, None)]),
    ("wiegand", "02f764dd", [("7BB26E", None, None)]),
]


@pytest.mark.parametrize(("driver", "frame", "facts"), FRAMES)
def test_antenna_and_strength(driver: str, frame: str, facts: list[Facts], specs: Mapping[str, DriverSpec]) -> None:
    spec = specs[driver]
    events = play(spec.make({"poll": False} if spec.dialogue.polls else {}), [bytes.fromhex(frame)])
    assert [(e.tag_id, e.antenna, e.rssi_dbm) for e in events if isinstance(e, TagRead)] == facts


def test_a_report_of_a_whole_door_is_read(specs: Mapping[str, DriverSpec]) -> None:
    """A reader that somebody else set up tells all tags at once: sixteen kilobytes, in the pieces that TCP makes."""
    numbers = [b"\x30" + bytes(7) + serial.to_bytes(4, "big") for serial in range(400)]
    told = b"".join(
        bytes.fromhex("00f00025 8d")
        + number
        + bytes.fromhex("810002 86c4 82")
        + bytes(8)
        + bytes.fromhex("880001 870003")
        for number in numbers
    )
    report = bytes.fromhex("043d") + (10 + len(told)).to_bytes(4, "big") + bytes(4) + told
    for size in (len(report), 1448, 97):
        pieces = [report[at : at + size] for at in range(0, len(report), size)]
        events = play(specs["llrp"].make({"poll": False}), pieces)
        assert [e.tag_id for e in events if isinstance(e, TagRead)] == [number.hex().upper() for number in numbers]
        assert b"".join(event.raw for event in events) == report


def mercury(*tags: tuple[bytes, int, int]) -> bytes:
    """A frame of reads with RSSI, antenna and protocol, built bit by bit as SparkFun's library documents it."""
    told = b"\x10\x00\x1b\x00\x46" + bytes([len(tags)])
    for number, antenna, rssi in tags:
        tag = (len(number) // 2 << 11).to_bytes(2, "big") + number
        crc = 0xFFFF
        for byte in tag:
            crc ^= byte << 8
            for _ in range(8):
                crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
        tag += (crc ^ 0xFFFF).to_bytes(2, "big")
        told += bytes([rssi & 0xFF, antenna << 4 | antenna, 5]) + (8 * len(tag)).to_bytes(2, "big") + tag
    body = bytes([len(told), 0x22, 0, 0]) + told
    crc = 0xFFFF
    for byte in body:
        for bit in range(7, -1, -1):
            crc = crc << 1 | byte >> bit & 1
            crc = crc & 0xFFFF ^ (0x1021 if crc >> 16 else 0)
    return b"\xff" + body + crc.to_bytes(2, "big")


def test_a_thingmagic_tells_several_tags_at_once(specs: Mapping[str, DriverSpec]) -> None:
    told = [(bytes(range(12)), 1, -71), (b"\x30" * 8, 2, -25), (b"\xab" * 62, 4, -128)]
    events = play(specs["mercury"].make({"poll": False}), [mercury(*told)])
    assert [(e.tag_id, e.antenna, e.rssi_dbm) for e in events if isinstance(e, TagRead)] == [
        (number.hex().upper(), antenna, rssi) for number, antenna, rssi in told
    ]
