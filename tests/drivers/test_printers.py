"""What printers print, as the simulated printers read it, which were written from the manuals and share no code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from drivers.paper import columns, paired, wrapped
from edge_agent.driver import DriverSpec, Printer, Send
from edge_agent.model import Document, Pair, QrCode, Rule, Status, Text
from hwsim.printer import Printer as Paper

LANGUAGES = ("escpos", "tspl", "zpl")
HOSTILE = 'a"b^XZ~HS_5E\x1b@\x1dV\x42\x00\x10\x04\x01\r\nPRINT 9,9\x00\u202e\ud800\\["]'


def printer(specs: Mapping[str, DriverSpec], language: str, **options: Any) -> Printer:
    made = specs[language].make(options)
    assert isinstance(made, Printer)
    return made


def shown(codec: Printer, document: Document, language: str) -> Any:
    paper = Paper(language=language)
    for output in codec.render(document, 0.0):
        assert isinstance(output, Send)
        assert paper.receive(output.data, 0.0) == []
    assert paper.unknown == 0
    assert len(paper.slips) == 1
    return paper.slips[0]


def document(*parts: Any, kind: Any = "receipt") -> Document:
    return Document(id="d", kind=kind, parts=parts)


@pytest.mark.parametrize("language", LANGUAGES)
def test_text_pairs_and_codes_arrive_as_they_were_meant(specs: Mapping[str, DriverSpec], language: str) -> None:
    slip = shown(
        printer(specs, language),
        document(
            Text(text="南门农贸市场", bold=True, align="center"),
            Rule(),
            Pair(left="大白菜", right="13.13 元", size=1),
            Text(text="龘合计", size=2),
            QrCode(text="https://trace.example/t/37060256900120000058", rows=("101", "010", "111")),
        ),
        language,
    )
    assert slip.lines[0] == "南门农贸市场"
    assert any(line.startswith("大白菜 ") and line.endswith(" 13.13 元") for line in slip.lines)
    assert "龘合计" in slip.lines
    assert slip.codes == ("https://trace.example/t/37060256900120000058",)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_can_be_a_command(specs: Mapping[str, DriverSpec], language: str) -> None:
    codec = printer(specs, language)
    slip = shown(codec, document(Text(text=HOSTILE), Pair(left=HOSTILE[:12], right=HOSTILE[:9])), language)
    assert 'a"b^XZ~HS_5E' in slip.text.replace("\n", "")


def test_a_code_can_be_a_picture(specs: Mapping[str, DriverSpec]) -> None:
    slip = shown(printer(specs, "escpos", qr="picture"), document(QrCode(text="x", rows=("10", "01"))), "escpos")
    assert slip.pictures == 1
    assert slip.codes == ()


@pytest.mark.parametrize("language", ["tspl", "zpl"])
def test_what_does_not_fit_on_a_label_says_what_would(specs: Mapping[str, DriverSpec], language: str) -> None:
    full = document(*[Text(text=f"line {number}") for number in range(30)], kind="label")
    with pytest.raises(ValueError, match="needs 107 mm and the label is 40 mm high; height = 107 would do"):
        printer(specs, language).render(full, 0.0)
    wide = document(QrCode(text="x" * 200, rows=("1" * 97,) * 97), kind="label")
    with pytest.raises(ValueError, match="a wider one would"):
        printer(specs, language, width=30).render(wide, 0.0)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("trouble", "words"), [("paper", "out of paper"), ("cover", "open"), (None, "")])
def test_how_a_printer_stands(specs: Mapping[str, DriverSpec], language: str, trouble: str | None, words: str) -> None:
    codec, paper = printer(specs, language), Paper(language=language, trouble={trouble} if trouble else set())
    questions = [output.data for output in codec.ask(1.0) if isinstance(output, Send)]
    assert codec.deadline is not None
    told = [event for data in questions for answer in paper.receive(data, 1.0) for event in codec.feed(answer, 1.1)]
    details = " ".join(event.detail for event in told if isinstance(event, Status) and event.status == "error")
    assert words in details
    assert bool(details) == (trouble is not None)
    assert codec.deadline is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_printer_that_says_nothing_is_not_waited_for_for_ever(specs: Mapping[str, DriverSpec], language: str) -> None:
    codec = printer(specs, language)
    codec.ask(1.0)
    deadline = codec.deadline
    assert deadline is not None
    assert codec.tick(deadline) == []
    assert codec.deadline is None
    assert printer(specs, language, status=False).ask(1.0) == []


def test_lines_are_cut_by_width_and_lose_nothing() -> None:
    for text in ("大白菜" * 20, "a b c " * 20, "x" * 100, "", "番茄 tomato 12"):
        lines = wrapped(text, 16)
        assert all(columns(line) <= 16 for line in lines)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert paired(Pair(left="金额", right="1.00"), 16) == ["金额        1.00"]
    assert paired(Pair(left="追溯码", right="37060256900120000058"), 16)[1:] == ["3706025690012000", "            0058"]
