"""Europe: Kern, Sartorius, Radwag, Gram, Steinberg, Dibal, Bizerba, Erte, METTLER TOLEDO prints, drum scales."""

from __future__ import annotations

from typing import Final

from hwsim.dialect import Dialect
from hwsim.dialects.talk import CRLF, GRAMS, Talk, check_xor, fit, magnitude, minus, ok, over, says, tares, zeroes
from hwsim.load import Indication, Platter
from hwsim.mass import shown as text_of


def _gross(shown: Indication) -> str:
    return text_of(shown.value_mg + shown.tare_mg, shown.unit, shown.decimals)


def kern_18(shown: Indication) -> bytes:
    """Kern FCB 8: weight with its sign in twelve, blank, unit at the left of three, CR LF."""
    return f"{fit(shown.text, 12)} {shown.unit.ljust(3)}\r\n".encode() if ok(shown) else b""


def kern_de(shown: Indication) -> bytes:
    """Kern DE manual, remote control: M or blank, minus or blank, weight in ten, unit in three, CR LF."""
    return f"M{minus(shown)}{fit(magnitude(shown), 10)} {shown.unit.ljust(3)}\r\n".encode() if ok(shown) else b""


def sartorius(shown: Indication) -> bytes:
    """Sartorius SBI, 22 characters: identity in six, sign, blank, weight in eight, blank, unit in three, CR LF.

    The unit is blank while the weight moves; out of range stands in words.
    """
    if not ok(shown):
        return f"Stat  {'High' if over(shown) else 'Low':^14}\r\n".encode()
    unit = shown.unit.ljust(3) if shown.stable else "   "
    return f"{'N':6}{minus(shown, '+')} {fit(magnitude(shown), 8)} {unit}\r\n".encode()


def radwag(shown: Indication) -> bytes:
    """Radwag protocol, answer to SUI: stability, weight in twelve, blank, unit in three, CR LF."""
    mark = "^" if over(shown) else "v" if not ok(shown) else " " if shown.stable else "?"
    value = fit(f"{shown.text} ", 12) if ok(shown) else " " * 12
    return f"SUI{mark}{value}{shown.unit.ljust(3)}\r\n".encode()


def gram_pc0(shown: Indication) -> bytes:
    """Gram Z3, format PC0: STX, status, sign, weight in seven, unit in two, CR, ETX."""
    if not ok(shown):
        return b""
    status = 0x20 | (0x02 if shown.net else 0x01) | (0x08 if shown.value_mg == 0 else 0) | (0x40 if shown.stable else 0)
    return f"\x02{chr(status)}{minus(shown)}{fit(magnitude(shown), 7)}{shown.unit.rjust(2)}\r\x03".encode()


def steinberg(shown: Indication) -> bytes:
    """Steinberg: `S ` or `SD`, weight in ten, blank, unit in two, CR LF."""
    if not ok(shown):
        return b""
    return f"{'S ' if shown.stable else 'SD'}{fit(shown.text, 10)} {shown.unit.rjust(2)}\r\n".encode()


def creedmoor(shown: Indication) -> bytes:
    """Creedmoor: sign, seven characters with leading zeros, blank, unit at the left of three, CR LF."""
    if not ok(shown):
        return b""
    return f"{minus(shown, '+')}{fit(magnitude(shown), 7, '0')} {shown.unit.ljust(3)}\r\n".encode()


def erte(shown: Indication) -> bytes:
    """Erte: status letter, six digits without a point, CR."""
    if not ok(shown):
        return b"E" + ("" if over(shown) else "-").rjust(2).encode() + b"0000\r"
    letter = {(True, False): "A", (True, True): "B", (False, False): "C", (False, True): "D"}[shown.stable, shown.net]
    sign = minus(shown, "")
    digits = magnitude(shown).replace(".", "").lstrip("0") or "0"
    return f"{letter}{fit(sign + digits, 6)}\r".encode()


def _tisa(platter: Platter) -> Talk:
    """Dibal DPOS-400 manual p. 15: `98 PPPPP C CR LF` is answered `99 S WWWWW E IIIIII C CR LF`, weight in grams."""

    class Till(Talk):
        def receive(self, data: bytes, now: float) -> list[bytes]:
            self._typed = (self._typed + data)[-80:]
            answers = []
            while (begin := self._typed.find(b"98")) >= 0 and len(self._typed) >= begin + 10:
                request = self._typed[begin : begin + 10]
                self._typed = self._typed[begin + 10 :]
                if request.endswith(CRLF) and request[7] == check_xor(request[:7]) and request[2:7].isdigit():
                    answers.append(self._answer(int(request[2:7]), now))
            return [answer for answer in answers if answer]

        def _answer(self, price: int, now: float) -> bytes:
            shown = self._platter.indication(now)
            if not ok(shown) or shown.value_mg < 0:
                return b""  # the page does not tell
            grams = shown.value_mg // 1000
            state = "0" if shown.stable else "1"
            amount = (grams * price + 500) // 1000
            body = f"99{state}{grams:05d}{'0' if state == '0' else '1'}{amount:06d}".encode()
            return body + bytes((check_xor(body),)) + CRLF

    return Till(platter)


def dialog_06(shown: Indication) -> bytes:
    """Checkout-Dialog 06: STX 02 ESC 3 ESC weight in grams ESC price ESC amount ETX; record 09 where there is none."""
    if not ok(shown) or not shown.stable or shown.value_mg < 0:
        code = "32" if over(shown) else "31" if shown.value_mg < 0 or not ok(shown) else "20"
        return f"\x0209\x1b{code}\x03".encode()
    return f"\x0202\x1b3\x1b{shown.value_mg // 1000:05d}\x1b000000\x1b000000\x03".encode()


def mt_ms204(shown: Indication) -> bytes:
    """MS204TS print line: N in the sixth column, weight in thirteen, blank, unit at the left of four, CR LF."""
    return f"     N{fit(shown.text, 13)} {shown.unit.ljust(4)}\r\n".encode() if ok(shown) and shown.stable else b""


def mt_jik(shown: Indication) -> bytes:
    """JIK6CAB print block: tare, gross, net and displayed weight among fourteen lines."""
    if not ok(shown) or not shown.stable:
        return b""
    unit, tare, net = shown.unit, shown.tare_text, shown.text
    lines = [
        *("^KJIK000", "2023-11-07", "17:19:26", f"{fit(tare, 10)} {unit}", f"{fit(_gross(shown), 10)} {unit}"),
        *("0", "0", f"{fit(net, 10)} {unit}", f"{fit(net, 10)} {unit}", f"{fit('0', 10)} pcs", "", "", "E", "~P1"),
    ]
    return b"".join(line.encode() + CRLF for line in lines)


def digi_block(shown: Indication) -> bytes:
    """Drum scale: headed values, net and tare among them, each CR, CR LF behind the last."""
    if not ok(shown):
        return b""
    nine = {"F": "0.0", "H": "0.0", "Q": "0.0", "X": "0.0", "A": _gross(shown), "0": shown.text, "4": shown.tare_text}
    nine["1"] = "0.0"
    lines = [f"{head}{fit(value, 9)}" for head, value in nine.items()]
    tail = [f"2{fit('0', 8)}", "B\x81", "C24\xf4 01\xf3 2024\xf2 WED 06:34AM", "V1"]
    return "\r".join([*lines, *tail]).encode("latin-1") + CRLF


def label_block(shown: Indication) -> bytes:
    """Drum scale: labelled lines, each CR, CR LF behind the last."""
    if not ok(shown):
        return b""
    lines = [f"SET P{point}{'(W)' if point == 1 else ''}{fit('0.0', 10)}" for point in range(1, 5)]
    lines += [f"GROSS WEIGHT{fit(_gross(shown), 10)}", f"NET WEIGHT{fit(shown.text, 12)}"]
    lines += [f"TARE{fit(shown.tare_text, 12)}", "DATE & TIME JAN. 14,2024  06:34AM", "SCALE NO 1", "STATUS \x81*"]
    return "\r".join(lines).encode("latin-1") + CRLF


_DRUM: Final = {"decimals": 1, "division": "500 g", "capacity": "600 kg"}

DIALECTS: Final = (
    Dialect(
        name="kern-18",
        title="Kern FCB, answers w",
        rate_hz=10.0,
        make=lambda platter: Talk(platter, commands={b"w": says(kern_18), b"t": tares()}),
        source="captures of a Kern FCB 8",
        build=GRAMS,
    ),
    Dialect(
        name="kern-de",
        title="Kern DE, answers w",
        rate_hz=10.0,
        make=lambda platter: Talk(platter, commands={b"w": says(kern_de), b"t": tares()}),
        source="Kern DE manual, remote control commands",
    ),
    Dialect(
        name="sartorius-sbi",
        title="Sartorius SBI 22 characters, answers ESC P",
        rate_hz=10.0,
        make=lambda platter: Talk(platter, commands={b"\x1bP": says(sartorius), b"\x1bU": tares(), b"\x1bV": zeroes()}),
        source="Sartorius manuals, data output",
        build=GRAMS,
    ),
    Dialect(
        name="radwag",
        title="Radwag, answers SUI",
        rate_hz=10.0,
        make=lambda platter: Talk(
            platter, commands={b"SUI\r\n": says(radwag), b"T\r\n": tares(b"T_A\r\n"), b"Z\r\n": zeroes(b"Z_A\r\n")}
        ),
        source="Radwag communication protocol",
        build=GRAMS,
    ),
    Dialect(
        name="gram-pc0",
        title="Gram Z3, format PC0",
        rate_hz=10.0,
        make=lambda platter: Talk(platter, stream=says(gram_pc0)),
        source="Gram Z3 manual",
    ),
    Dialect(
        name="steinberg",
        title="Steinberg bench balance",
        rate_hz=10.0,
        make=lambda platter: Talk(platter, stream=says(steinberg)),
        source="frames of a Steinberg balance",
        build=GRAMS,
    ),
    Dialect(
        name="creedmoor",
        title="Creedmoor balance",
        rate_hz=10.0,
        make=lambda platter: Talk(platter, stream=says(creedmoor)),
        source="lines of a Creedmoor balance",
        build=GRAMS,
    ),
    Dialect(
        name="erte",
        title="Erte indicator",
        rate_hz=10.0,
        make=lambda platter: Talk(platter, stream=says(erte)),
        source="field notes on Erte indicators",
        build={"decimals": 0, "division": "1 kg", "capacity": "3000 kg"},
    ),
    Dialect(
        name="tisa",
        title="Dibal TISA, answers 98",
        rate_hz=10.0,
        make=_tisa,
        source="Dibal DPOS-400 manual p. 15",
    ),
    Dialect(
        name="dialog-06",
        title="Checkout-Dialog 06, as heard between till and scale",
        rate_hz=2.0,
        make=lambda platter: Talk(platter, stream=says(dialog_06)),
        source="Checkout-Dialog 06 descriptions",
    ),
    Dialect(
        name="mt-ms204-print",
        title="METTLER TOLEDO MS-TS print line",
        rate_hz=4.0,
        make=lambda platter: Talk(platter, stream=says(mt_ms204)),
        source="captures of an MS204TS",
        build=GRAMS,
    ),
    Dialect(
        name="mt-jik-print",
        title="METTLER TOLEDO JIK6CAB print block",
        rate_hz=1.0,
        make=lambda platter: Talk(platter, stream=says(mt_jik)),
        source="captures of a JIK6CAB",
    ),
    Dialect(
        name="digi-block",
        title="drum scale, headed block",
        rate_hz=2.0,
        make=lambda platter: Talk(platter, stream=says(digi_block)),
        source="captures of a drum scale",
        build=_DRUM,
    ),
    Dialect(
        name="label-block",
        title="drum scale, labelled block",
        rate_hz=2.0,
        make=lambda platter: Talk(platter, stream=says(label_block)),
        source="captures of a drum scale",
        build=_DRUM,
    ),
)
