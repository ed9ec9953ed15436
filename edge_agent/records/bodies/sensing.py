"""What a device said by itself: a weighing, a scan, a tag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from edge_agent.records.bodies.base import Body, Weighed
from edge_agent.records.bodies.terms import CodeClassField, Count, Milligrams, Moment, Words
from edge_agent.records.shape import Form, Named, Needs, Says, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing(Weighed):
    """One weigh cycle."""

    TYPE: ClassVar[str] = "trace.weighing.v1"
    TITLE: ClassVar[str] = "称重"

    net_mg: Annotated[Milligrams, Says("net mass; with an unknown basis the indication")]
    indication: Annotated[Words, Says("the displayed text: with `unit` the truth about the mass")]


_KNOWN = Annotated[
    Mapping[str, str] | None,
    Named("fields"),
    Says("what the code says: GS1 AIs or names, with their text values; of private codes kind, length and mask only"),
]
_VALID = Annotated[
    bool | None, Says("false: recognised and wrong; true: all that can be checked here holds; null: nothing can be")
]
_NOTES = Annotated[tuple[Words, ...], Says("codes of what is wrong or doubtful, see docs/reference/codes.md")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanBody(Body):
    """One barcode decode. `class` and `fields` say what the text is, where that is known.

    Of payment codes and personal numbers the class and a mask are kept, neither text nor bytes.
    """

    TYPE: ClassVar[str] = "trace.scan.v1"
    TITLE: ClassVar[str] = "扫码"
    FIXED: ClassVar[frozenset[str]] = Body.FIXED | {"text", "symbology", "class", "fields", "valid", "problems"}

    text: Annotated[str, Says("the decoded text; a mask where it was private")]
    symbology: Annotated[
        Annotated[str, Form(pattern=r"^\][A-Za-z][0-9A-Za-z]$")] | None,
        Says("AIM identifier, where the scanner sent it", "ISO/IEC 15424"),
    ] = None
    code_class: CodeClassField = None
    code_fields: _KNOWN = None
    valid: _VALID = None
    problems: _NOTES = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TagBody(Body):
    """One episode of a tag in view. An EPC is taken apart into `fields`."""

    TYPE: ClassVar[str] = "trace.tag.v1"
    TITLE: ClassVar[str] = "射频标签"
    FIXED: ClassVar[frozenset[str]] = Body.FIXED | {
        *("tag_id", "kind", "antenna", "first", "last", "reads", "rssi_dbm", "class", "fields", "valid", "problems")
    }
    RULES: ClassVar[tuple[Needs, ...]] = (Needs("first", ("last",)),)

    tag_id: Annotated[str, Form(pattern=r"^[0-9A-F]+$"), Says("the tag's number, upper-case hexadecimal")]
    kind: Annotated[Literal["epc", "iso14443", "iso15693", "em4100", "wiegand"], Says("air interface")]
    antenna: Annotated[Count | None, Says("antenna or reader that saw it")] = None
    first: Annotated[Moment | None, Says("first seen in this episode")] = None
    last: Annotated[Moment | None, Says("last seen in this episode")] = None
    reads: Annotated[Count, Says("how often it was read")] = 1
    rssi_dbm: Annotated[int | None, Unit("dBm"), Says("strength of the strongest read")] = None
    code_class: CodeClassField = None
    code_fields: _KNOWN = None
    valid: _VALID = None
    problems: _NOTES = ()
