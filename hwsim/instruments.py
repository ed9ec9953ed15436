"""Simulated instruments: a platter or a list of codes, a byte writer, and the conversation of the real thing.

An instrument is sans-I/O: it takes bytes and times and returns the chunks to send. `device` runs one on a port.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from hwsim import dialects, hid, wire
from hwsim.dialect import Conversation, Dialect
from hwsim.load import Platter, Script, Step, apply
from hwsim.mass import MILLIGRAMS, parse_mass
from hwsim.modbus import Id550

MAX_COMMAND: Final = 80  # an instrument's own input buffer is as short; what does not fit is forgotten
SICS_SERIAL: Final = "1234567"
SICS_STABLE_TIMEOUT: Final = 5.0


class Instrument(Protocol):
    """What can be put on a port."""

    @property
    def due(self) -> float | None:
        """When `tick` has something to do next, in monotonic seconds; None while it only waits for the host."""

    def power_on(self, now: float) -> Sequence[bytes]:
        """The instrument starts; its script and its stream begin."""

    def receive(self, data: bytes, now: float) -> Sequence[bytes]:
        """Bytes from the host."""

    def tick(self, now: float) -> Sequence[bytes]:
        """Time passes."""

    @property
    def counters(self) -> dict[str, int]:
        """What it did so far, e.g. `frames`, `weighings`."""


class Continuous:
    """Streams a frame at each tick and understands single-letter commands."""

    def __init__(
        self,
        platter: Platter,
        write: Callable[[Platter, float], bytes],
        commands: Mapping[int, Callable[[Platter, float], bytes | None]] | None = None,
    ) -> None:
        self._platter = platter
        self._write = write
        self._commands = commands or {}

    def power_on(self, now: float) -> Sequence[bytes]:
        return ()

    def receive(self, data: bytes, now: float) -> Sequence[bytes]:
        answers = (self._commands[byte](self._platter, now) for byte in data if byte in self._commands)
        return [answer for answer in answers if answer]

    def sample(self, now: float) -> Sequence[bytes]:
        frame = self._write(self._platter, now)
        return [frame] if frame else []


def _tare(platter: Platter, now: float) -> None:
    platter.tare(now)


def _zero(platter: Platter, now: float) -> None:
    platter.zero(now)


def _clear_tare(platter: Platter, now: float) -> None:
    platter.preset_tare(0)


class HidScale(Continuous):
    """Data reports; a control report 2 whose second bit is set zeroes it (POS usage 80, zero scale)."""

    _CONTROL, _ZERO_SCALE = 2, 0x02

    def receive(self, data: bytes, now: float) -> Sequence[bytes]:
        if len(data) == 2 and data[0] == self._CONTROL and data[1] & self._ZERO_SCALE:
            self._platter.zero(now)
        return ()


class CasPoll:
    """CAS AP / ACLAS: ENQ is answered with ACK, DC1 after it with the weight packet, DC2 with price and amount too.

    Nobody keys in a price, so that price and amount are zero. `<ZK>` TAB zeroes and `<TK>` TAB tares (ACLAS OS2).
    """

    def __init__(self, platter: Platter) -> None:
        self._platter = platter
        self._greeted = False
        self._typed = bytearray()

    def power_on(self, now: float) -> Sequence[bytes]:
        self._greeted = False
        self._typed.clear()
        return ()

    def receive(self, data: bytes, now: float) -> Sequence[bytes]:
        answers: list[bytes] = []
        for byte in data:
            if byte == wire.ENQ:
                self._greeted = True
                answers.append(bytes([wire.ACK]))
            elif byte == wire.DC1 and self._greeted:
                self._greeted = False
                answers.append(wire.cas_packet(self._platter.indication(now)))
            elif byte == 0x12 and self._greeted:
                self._greeted = False
                answers.append(wire.cas_priced_packet(self._platter.indication(now), price="0.00", amount="0.00"))
            else:
                self._type(byte, now)
        return answers

    def sample(self, now: float) -> Sequence[bytes]:
        return ()

    def _type(self, byte: int, now: float) -> None:
        self._typed.append(byte)
        if self._typed.endswith(b"<ZK>\t"):
            self._platter.zero(now)
        elif self._typed.endswith(b"<TK>\t"):
            self._platter.tare(now)
        if byte == 0x09 or len(self._typed) > MAX_COMMAND:
            self._typed.clear()


@dataclass(slots=True)
class _Waiting:
    """A command that waits for a stable weight, until `until`."""

    command: str
    until: float


class MtSics:
    """METTLER TOLEDO MT-SICS levels 0 and 1 (reference manual): S SI SIR SR, T TI TA TAC, Z ZI, @, I0 to I5.

    Nothing is sent unasked but `I4 A "serial"` at power-on. `S`, `T` and `Z` wait for a stable weight and answer
    `I` (not executable now) after 5 s.
    """

    def __init__(self, platter: Platter) -> None:
        self._platter = platter
        self._line = bytearray()
        self._waiting: _Waiting | None = None
        self._repeat: str | None = None
        self._last_sent: int | None = None

    def power_on(self, now: float) -> Sequence[bytes]:
        self._reset()
        return [self._serial()]

    def receive(self, data: bytes, now: float) -> Sequence[bytes]:
        answers: list[bytes] = []
        for byte in data:
            if byte == 0x0A:
                line = bytes(self._line).rstrip(b"\r")
                self._line.clear()
                answers.extend(self._execute(line, now))
            elif len(self._line) < MAX_COMMAND:
                self._line.append(byte)
        return answers

    def sample(self, now: float) -> Sequence[bytes]:
        if self._waiting is not None:
            return self._waited(self._waiting, now)
        if self._repeat in ("SIR", "SIRU"):
            return [wire.mt_sics(self._platter.indication(now))]
        if self._repeat == "SR":
            return self._changed(now)
        return ()

    def _execute(self, line: bytes, now: float) -> Sequence[bytes]:
        try:
            name, _, argument = line.decode("ascii").partition(" ")
        except UnicodeDecodeError:
            return [wire.sics_line("ET")]
        match name:
            case "S" | "SU" | "T" | "Z":
                self._repeat = None
                self._waiting = _Waiting(name, now + SICS_STABLE_TIMEOUT)
                return self._waited(self._waiting, now)
            case "SI" | "SIU":
                self._repeat = None
                return [wire.mt_sics(self._platter.indication(now))]
            case "SIR" | "SIRU" | "SR":
                self._repeat, self._waiting, self._last_sent = name, None, None
                return ()
            case "TI":
                return [self._tare("TI", now, wait_stable=False)]
            case "ZI":
                done = self._platter.zero(now)
                return [wire.sics_line("ZI", "S" if done else "I")]
            case "TA":
                return [self._tare_value(argument, now)]
            case "TAC":
                self._platter.preset_tare(0)
                return [wire.sics_line("TAC", "A")]
            case "@":
                self._reset()
                return [self._serial()]
            case _:
                return self._identify(name)

    def _identify(self, name: str) -> Sequence[bytes]:
        match name:
            case "I0":
                names = ("I0", "I1", "I2", "I3", "I4", "I5", "S", "SI", "SIR", "Z", "@", "SR", "T", "TA", "TAC", "TI")
                last = len(names) - 1
                return [
                    wire.sics_line("I0", "A" if i == last else "B", "0" if i < 11 else "1", f'"{each}"')
                    for i, each in enumerate(names)
                ]
            case "I1":
                return [wire.sics_line("I1", "A", '"01"', '"2.30"', '"2.22"')]
            case "I2":
                settings = self._platter.settings
                capacity = settings.capacity_mg // MILLIGRAMS[settings.unit]
                return [wire.sics_line("I2", "A", f'"Simulator {capacity} {settings.unit}"')]
            case "I3":
                return [wire.sics_line("I3", "A", '"1.00"')]
            case "I4":
                return [self._serial()]
            case "I5":
                return [wire.sics_line("I5", "A", '"12345678A"')]
            case _:
                return [wire.sics_line("ES")]

    def _waited(self, waiting: _Waiting, now: float) -> Sequence[bytes]:
        indication = self._platter.indication(now)
        if indication.condition == "ok" and not indication.stable:
            if now < waiting.until:
                return ()
            self._waiting = None
            return [wire.sics_line(waiting.command.rstrip("U"), "I")]
        self._waiting = None
        match waiting.command:
            case "T":
                return [self._tare("T", now, wait_stable=True)]
            case "Z":
                if indication.condition != "ok":
                    return [wire.sics_line("Z", "+" if indication.condition == "overload" else "-")]
                return [wire.sics_line("Z", "A" if self._platter.zero(now) else "+")]
            case _:
                return [wire.mt_sics(indication)]

    def _changed(self, now: float) -> Sequence[bytes]:
        # SR: the first stable value, then one on each change of at least 12.5 % of the last, 30 divisions or more.
        indication = self._platter.indication(now)
        if self._last_sent is None and not indication.stable:
            return ()
        if self._last_sent is not None:
            least = max(abs(self._last_sent) // 8, 30 * indication.division_mg)
            if abs(indication.value_mg - self._last_sent) < least:
                return ()
        self._last_sent = indication.value_mg
        return [wire.mt_sics(indication)]

    def _tare(self, command: str, now: float, *, wait_stable: bool) -> bytes:
        indication = self._platter.indication(now)
        if indication.condition != "ok":
            return wire.sics_line(command, "+" if indication.condition == "overload" else "-")
        if not self._platter.tare(now, wait_stable=wait_stable):
            return wire.sics_line(command, "-")
        return self._tare_line(command, "S" if indication.stable else "D", now)

    def _tare_value(self, argument: str, now: float) -> bytes:
        if argument:
            try:
                self._platter.preset_tare(parse_mass(argument))
            except ValueError:
                return wire.sics_line("TA", "L")
        return self._tare_line("TA", "A", now)

    def _tare_line(self, command: str, status: str, now: float) -> bytes:
        indication = self._platter.indication(now)
        return wire.sics_line(command, status, indication.tare_text.rjust(10), indication.unit)

    def _reset(self) -> None:
        self._line.clear()
        self._waiting = None
        self._repeat = None
        self._platter.preset_tare(0)

    def _serial(self) -> bytes:
        return wire.sics_line("I4", "A", f'"{SICS_SERIAL}"')


def _continuous(write: Callable[[Platter, float], bytes]) -> Callable[[Platter], Conversation]:
    return lambda platter: Continuous(platter, write)


def _st_gs(platter: Platter) -> Conversation:
    def frame(platter: Platter, now: float) -> bytes:
        return wire.st_gs(platter.indication(now))

    return Continuous(platter, frame, {ord("R"): frame, ord("T"): _tare, ord("Z"): _zero})


def _toledo(platter: Platter) -> Conversation:
    def frame(platter: Platter, now: float) -> bytes:
        return wire.toledo_continuous(platter.indication(now))

    commands = {ord("P"): frame, ord("T"): _tare, ord("Z"): _zero, ord("C"): _clear_tare}
    return Continuous(platter, frame, commands)


DIALECTS: Final[dict[str, Dialect]] = {
    dialect.name: dialect
    for dialect in (
        Dialect(
            name="xk3190-continuous",
            title="Shanghai Yaohua XK3190, tF=0, 12 bytes",
            rate_hz=10.0,
            make=_continuous(lambda platter, now: wire.xk3190_continuous(platter.indication(now))),
            source="XK3190-A9 manual, continuous mode",
        ),
        Dialect(
            name="xk3190-eq-forward",
            title="Yaohua XK3190 = frames as read (A26 format 2)",
            rate_hz=10.0,
            make=_continuous(lambda platter, now: wire.xk3190_eq(platter.indication(now), backwards=False)),
            source="XK3190-A26 manual p. 11",
        ),
        Dialect(
            name="xk3190-eq-reversed",
            title="Yaohua XK3190 = frames from low to high (A26 format 1)",
            rate_hz=10.0,
            make=_continuous(lambda platter, now: wire.xk3190_eq(platter.indication(now), backwards=True)),
            source="XK3190-A26 manual p. 11",
        ),
        Dialect(
            name="st-gs",
            title="ST,GS family (CAS, T-Scale, Excell, GSC …), continuous, R T Z understood",
            rate_hz=10.0,
            make=_st_gs,
            source="T-Scale and GSC manuals",
        ),
        Dialect(
            name="mt-sics",
            title="METTLER TOLEDO MT-SICS levels 0 and 1, answers commands",
            rate_hz=20.0,
            make=MtSics,
            source="MT-SICS reference manual",
        ),
        Dialect(
            name="modbus-rtu",
            title="Modbus RTU indicator with the register map of the Tuna ID550, answers functions 03, 04, 06",
            rate_hz=10.0,
            make=Id550,
            source="Tuna ID550 register list; Modbus Application Protocol V1.1b3",
        ),
        Dialect(
            name="cas-poll",
            title="CAS AP / ACLAS, ENQ ACK DC1",
            rate_hz=10.0,
            make=CasPoll,
            source="CAS AP-1, ACLAS OS2CX manual p. 19",
        ),
        Dialect(
            name="toledo-continuous",
            title="Toledo standard continuous, 18 bytes with checksum, P T Z C understood",
            rate_hz=20.0,
            make=_toledo,
            source="WILDCAT manual p. 6-4, IND445 p. 50",
        ),
        Dialect(
            name="hid-pos-scale",
            title="USB HID scale, data report 3 (bytes on a pty or TCP; a real USB device with hidg:)",
            rate_hz=10.0,
            make=lambda platter: HidScale(platter, lambda platter, now: hid.scale_report(platter.indication(now))),
            source="USB-IF Point of Sale usage tables 1.02, scale page",
        ),
        *dialects.DIALECTS,
    )
}


class Scale:
    """A platter, a dialect and a script, running on the instrument's own output clock."""

    def __init__(
        self, dialect: Dialect, platter: Platter, *, script: Script | None = None, rate_hz: float | None = None
    ):
        rate = dialect.rate_hz if rate_hz is None else rate_hz
        if not 0 < rate <= 200:
            raise ValueError("the rate must be above 0 and at most 200 frames a second")
        self.platter = platter
        self._conversation = dialect.make(platter)
        self._period = 1.0 / rate
        self._script = script
        self._steps: Iterator[tuple[float, Step]] = iter(())
        self._began: float | None = None
        self._next_step: tuple[float, Step] | None = None
        self._next_sample: float | None = None
        self._frames = 0
        self._weighings = 0

    @property
    def due(self) -> float | None:
        times = [self._next_sample, None if self._next_step is None else self._next_step[0]]
        return min((time for time in times if time is not None), default=None)

    @property
    def counters(self) -> dict[str, int]:
        """Frames sent, and how often goods were put on the empty platter."""
        return {"frames": self._frames, "weighings": self._weighings}

    def power_on(self, now: float) -> Sequence[bytes]:
        self._next_sample = now
        if self._began is None:
            self._began = now
            self._steps = self._script.times() if self._script else iter(())
            self._advance()
        return self._count(self._conversation.power_on(now))

    def receive(self, data: bytes, now: float) -> Sequence[bytes]:
        self._play(now)
        return self._count(self._conversation.receive(data, now))

    def tick(self, now: float) -> Sequence[bytes]:
        self._play(now)
        if self._next_sample is None or now < self._next_sample:
            return ()
        # A late tick sends one frame, not all that were missed: an indicator has no queue.
        self._next_sample = max(self._next_sample + self._period, now)
        return self._count(self._conversation.sample(now))

    def _play(self, now: float) -> None:
        while self._next_step is not None and self._next_step[0] <= now:
            at, step = self._next_step
            empty = self.platter.load_mg == 0
            apply(step, self.platter, at)
            if empty and self.platter.load_mg > 0:
                self._weighings += 1
            self._advance()

    def _advance(self) -> None:
        began = self._began or 0.0
        following = next(self._steps, None)
        self._next_step = None if following is None else (began + following[0], following[1])

    def _count(self, chunks: Sequence[bytes]) -> Sequence[bytes]:
        self._frames += len(chunks)
        return chunks


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One code that the simulated operator scans; `symbology` is the AIM identifier, sent when the scanner sends it."""

    text: str
    symbology: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannerSettings:
    """How one serial scanner is set up."""

    suffix: wire.Suffix = "CR"
    encoding: str = "utf-8"
    aim: bool = True

    def __post_init__(self) -> None:
        if self.suffix not in wire.SUFFIXES:
            raise ValueError(f"suffix {self.suffix!r} is not one of {', '.join(wire.SUFFIXES)}")
        try:
            "".encode(self.encoding)
        except LookupError:
            raise ValueError(f"encoding {self.encoding!r} is not known") from None


SCANNERS: Final[dict[str, str]] = {
    "serial-scanner": "serial or USB-CDC scanner: AIM prefix, text, suffix",
    "wedge": "scanner that types: boot keyboard reports; with --evemu what the kernel says of them",
    "hid-pos": "scanner in HID-POS mode: reports of 64 bytes, long texts in several",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PosScannerSettings:
    """How one scanner in HID-POS mode is set up."""

    layout: hid.PosLayout = "symbology-first"
    encoding: str = "utf-8"
    aim: bool = True


AnyScannerSettings = ScannerSettings | hid.KeyboardSettings | PosScannerSettings


class Scanner:
    """A scanner: scans its codes in turn, one every `every` seconds; `trigger` scans one at once.

    A scanner that types sends a report every `pause` seconds.
    """

    def __init__(
        self,
        settings: AnyScannerSettings,
        codes: Sequence[Code],
        *,
        every: float | None,
        count: int | None = None,
        pause: float = 0.002,
    ):
        if every is not None and every <= 0:
            raise ValueError("every must be above 0")
        if not 0 <= pause <= 1:
            raise ValueError("the pause from report to report is 0 to 1 s")
        self._pause = pause
        self._typed: deque[bytes] = deque()
        self._next_report = 0.0
        self._settings = settings
        self._codes = deque(codes)
        self._every = every if codes else None
        self._left = count
        self._next: float | None = None
        self._scans = 0

    @property
    def due(self) -> float | None:
        return self._next_report if self._typed else self._next

    @property
    def counters(self) -> dict[str, int]:
        """How many codes were scanned."""
        return {"scans": self._scans}

    def power_on(self, now: float) -> Sequence[bytes]:
        if self._next is None and self._every is not None and self._left != 0:
            self._next = now + self._every
        return ()

    def receive(self, data: bytes, now: float) -> Sequence[bytes]:
        return ()

    def tick(self, now: float) -> Sequence[bytes]:
        if self._typed:
            if now < self._next_report:
                return ()
            self._next_report = now + self._pause
            return [self._typed.popleft()]
        if self._next is None or self._every is None or now < self._next:
            return ()
        self._next = max(self._next + self._every, now)
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self._next = None
        code = self._codes[0]
        self._codes.rotate(-1)
        reports = self.reports(code)
        if not isinstance(self._settings, hid.KeyboardSettings):
            return reports
        self._typed.extend(reports)
        self._next_report = now
        return self.tick(now)

    def trigger(self, code: Code) -> bytes:
        """The bytes of one scan."""
        return b"".join(self.reports(code))

    def reports(self, code: Code) -> list[bytes]:
        """The same as the scanner hands it over: in one piece on a line, in reports on USB."""
        self._scans += 1
        settings = self._settings
        symbology = code.symbology if settings.aim else None
        if isinstance(settings, hid.KeyboardSettings):
            return hid.keyboard_reports((symbology or "") + code.text, settings)
        if isinstance(settings, PosScannerSettings):
            return hid.pos_reports(code.text.encode(settings.encoding), symbology, settings.layout)
        return [wire.scan(code.text, symbology=symbology, suffix=settings.suffix, encoding=settings.encoding)]
