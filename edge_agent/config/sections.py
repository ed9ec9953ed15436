"""The sections and keys of a configuration: types, bounds, defaults, and what each is for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    WrapSerializer,
    field_validator,
    model_validator,
)

from edge_agent.driver import PortUrl
from edge_agent.units import to_milligrams


def _topic_level(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text):
        raise ValueError("is used in MQTT topics|1 to 64 of the letters A-Z a-z 0-9 _ -")
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone known here|a name such as Asia/Shanghai") from None
    return name


def _mass(value: object) -> int:
    """A mass written with its unit, such as "20 g", in milligrams."""
    match = (
        re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(mg|g|kg|t|jin|liang|lb|oz)\s*", value) if isinstance(value, str) else None
    )
    if match is None:
        raise ValueError(f'{value!r} is not a mass|a number and its unit as text, such as "20 g" or "0.02 kg"')
    mass = to_milligrams(match[1], match[2])
    assert mass is not None
    return mass


def _mass_text(value: int, _handler: object) -> str:
    return f"{value / 1000:g} g"


def _share(text: str) -> str:
    match = re.fullmatch(r"([1-9]\d?)/([1-9]\d?)", text)
    if match is None or int(match[1]) > int(match[2]):
        raise ValueError(f"{text!r} is no share|1/1, or e.g. 2/3 for the second of three boxes")
    return text


Mass = Annotated[int, BeforeValidator(_mass), WrapSerializer(_mass_text)]
TopicLevel = Annotated[str, AfterValidator(_topic_level)]
NodeType = Literal[
    "planting-base",
    "farm",
    "slaughterhouse",
    "meat-wholesale",
    "vegetable-wholesale",
    "wholesale",
    "distribution-centre",
    "wet-market",
    "supermarket",
    "group-consumer",
    "warehouse",
    "pharmacy",
    "other",
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Gateway(_Section):
    """Which box this is and where it stands."""

    id: TopicLevel = Field(description="this box, unique within the site")
    site: TopicLevel = Field(description="the market, hall or warehouse")
    node_type: NodeType = Field("wet-market", description="kind of node in the city's traceability system")
    timezone: Annotated[str, AfterValidator(_zone)] = Field("Asia/Shanghai", description="zone of the times in records")
    market_code: str | None = Field(None, description="code of the market in the city's system, for XML exports")
    market_name: str | None = Field(None, description="name of the market, for XML exports")
    city_profile: str | None = Field(
        None, description="name of the city profile: one that comes with the agent, or a file in `profiles.d/`"
    )

    @property
    def source(self) -> str:
        """The CloudEvents source of every record made here."""
        return f"/{self.site}/{self.id}"

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which times are written."""
        return ZoneInfo(self.timezone)


class StoreSection(_Section):
    """Where records are kept until the platform has accepted them, and how long after that."""

    path: str = Field("/var/lib/trace-edge-agent/records.db", min_length=1, description="the SQLite file")
    max_bytes: int = Field(2_000_000_000, ge=10_000_000, description="largest size of the file; bytes")
    reserve_bytes: int = Field(8_000_000, ge=1_000_000, description="disk space kept free for the store; bytes")
    keep_days: int = Field(730, ge=1, description="how long delivered records stay; days")
    attachments_max_bytes: int = Field(
        500_000_000,
        ge=1_000_000,
        description="room for pictures and certificates, half of it at most for what tiles show; bytes",
    )
    attachment_max_bytes: int = Field(
        10_485_760, ge=10_000, le=67_108_864, description="largest picture or certificate; bytes"
    )


class Tls(_Section):
    """Trust and identity of the link."""

    ca: str | None = Field(None, description="file with the trusted certificates; absent: the system's")
    cert: str | None = Field(None, description="file with this box's certificate")
    key: str | None = Field(None, description="file with this box's private key")

    @model_validator(mode="after")
    def _pair(self) -> Tls:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key belong together|give both or neither")
        return self


class UplinkSection(_Section):
    """The link to the platform's broker."""

    host: str = Field(min_length=1, description="broker's name or address")
    port: int | None = Field(None, ge=1, le=65535, description="8883 with TLS, 1883 without")
    tls: Tls | None = Field(
        default_factory=lambda: Tls.model_validate({}),
        description="a table { ca, cert, key }; false (plain) only when written out",
    )
    username: str | None = Field(None, description="broker login")
    password_file: str | None = Field(None, description="file holding the password, one line")
    acknowledgement: Literal["platform", "broker"] = Field("platform", description="whose word counts as delivery")
    compression: Literal["none", "zstd", "gzip"] = Field("none", description="of record batches")
    window: int = Field(16, ge=1, le=20, description="messages in flight at most")
    verdict_timeout: float = Field(15.0, gt=0, le=3600, description="seconds until unverdicted records are sent again")
    unverdicted_max: int = Field(
        20_000, ge=1, le=1_000_000, description="records published and without verdict, at most"
    )
    progress_timeout: float = Field(
        30.0, gt=0, le=3600, description="seconds without progress until the link is renewed"
    )
    keepalive: int = Field(20, ge=5, le=3600, description="seconds between signs of life on an idle link")
    connect_timeout: float = Field(10.0, gt=0, le=120, description="seconds a broker has to answer")
    reconnect_max: float = Field(20.0, gt=0, le=600, description="longest wait between attempts to connect; seconds")
    batch_records: int = Field(200, ge=1, le=1000, description="records in one message, at most")
    backlog_share: float = Field(0.25, ge=0.05, le=0.95, description="share of messages kept for the backlog")

    @field_validator(
        "verdict_timeout", "progress_timeout", "connect_timeout", "reconnect_max", "backlog_share", mode="before"
    )
    @classmethod
    def _whole_numbers_are_numbers(cls, value: object) -> object:
        return float(value) if type(value) is int else value

    @field_validator("tls", mode="before")
    @classmethod
    def _plain_only_when_written_out(cls, value: object) -> object:
        return {False: None, True: {}}.get(value, value) if isinstance(value, bool) else value

    @property
    def effective_port(self) -> int:
        """The port to connect to."""
        return self.port if self.port is not None else (1883 if self.tls is None else 8883)


class Trust(_Section):
    """A key whose directives are obeyed."""

    key: str = Field(min_length=1, description="public key (Ed25519, base64)")
    kinds: tuple[str, ...] = Field((), description="kinds of directive")
    scope: str | None = Field(None, description="what the key may speak for")

    _tuple = field_validator("kinds", mode="before")(lambda value: tuple(value) if isinstance(value, list) else value)


def _port(text: str) -> str:
    try:
        PortUrl.parse(text)
    except ValueError as problem:
        raise ValueError(f"{text!r} is not a port|{problem}") from None
    return text


class Device(_Section):
    """One instrument and how it is reached."""

    id: TopicLevel = Field(description="name of the device, unique")
    driver: str = Field(min_length=1, description="driver id, see `edge-agent drivers list`")
    port: Annotated[str, AfterValidator(_port)] = Field(description="scheme:address?settings")
    unit: Literal["kg", "g", "mg", "t", "lb", "oz", "jin", "liang"] | None = Field(
        None, description="unit shown by instruments whose frames do not tell"
    )
    options: dict[str, Any] = Field(default_factory=dict, description="options of the driver")
    asset: dict[str, Any] = Field(
        default_factory=dict, description="facts for the ledger: maker, model, serial_no, verified_until …"
    )

    @property
    def port_url(self) -> PortUrl:
        """The port, taken apart."""
        return PortUrl.parse(self.port)


class Rules(_Section):
    """How a station reads its scale. Masses are written with their unit."""

    min_load: Mass = Field("20 g", validate_default=True, description="least mass that counts as a load")
    zero_band: Mass = Field("5 g", validate_default=True, description="up to this the platter counts as empty")
    stable_ms: int = Field(500, ge=50, le=10_000, description="time within stable_band that makes a reading stable; ms")
    stable_band: Mass = Field("2 g", validate_default=True, description="how far readings may differ and be stable")
    stable_readings: int = Field(
        2, ge=1, le=20, description="how many of the last 2n-1 readings must show the same weight before a capture"
    )
    empty_readings: int = Field(
        1, ge=1, le=20, description="readings in a row within zero_band after which the platter counts as empty"
    )
    additions: bool | None = Field(None, description="goods added without return to zero; absent: as the mode has it")
    auto_confirm: bool = Field(False, description="sale: a stable load of chosen goods is a sale without confirmation")
    round_off: Literal["none", "jiao", "yuan"] = Field(
        "none", description="sale: what amounts are rounded off to, downward only (抹零)"
    )
    min_capacity: Mass | None = Field(
        None, description="the scale's Min as its plate says; a lighter load is flagged below_min"
    )

    print: Literal["none", "receipt", "label", "both"] = Field(
        "none", description="sale: what is printed after each sale, or once a ticket is settled"
    )
    batch_choice: Literal["ask", "oldest"] = Field(
        "ask", description="sale: several open batches of the goods want the operator's choice, or the oldest is taken"
    )
    batch_days: int = Field(30, ge=1, le=3650, description="a batch that came in longer ago is open no more; days")
    no_upstream: Literal["flag", "refuse"] = Field("flag", description="sale: goods of which no batch is known")
    over_balance: Literal["flag", "refuse"] = Field("flag", description="sale: more of a batch than came in")
    stopped: Literal["refuse", "flag"] = Field("refuse", description="sale: goods under a stop of sale")
    balance_tolerance: int = Field(
        20, ge=0, le=1000, description="how much more than came in may go out unflagged; thousandths"
    )
    balance_tolerances: dict[str, Annotated[int, Field(ge=0, le=1000)]] = Field(
        default_factory=dict, description="the same by goods code, where goods dry out or take up water; thousandths"
    )
    crates: dict[str, Mass] = Field(
        default_factory=dict, description='empty crates by name, as { blue = "1.5 kg" }: preset tares to choose from'
    )
    trace_share: Annotated[str, AfterValidator(_share)] = Field(
        "1/1", description="which of the party's ranges of trace codes this box issues: 2/3 for the second of 3 boxes"
    )
    trace_first: int | None = Field(
        None,
        ge=0,
        le=9_999_999,
        description="running number to begin with where this box has issued none; absent: by the synchronised clock",
    )

    tag_reads: int = Field(1, ge=1, le=100, description="reads within tag_arrive_ms that bring a tag into view")
    tag_arrive_ms: int = Field(1_000, ge=10, le=60_000, description="see tag_reads; ms")
    tag_lost_ms: int = Field(5_000, ge=100, le=600_000, description="a tag not read for so long is out of view; ms")
    tag_longest_s: int = Field(
        3_600, ge=10, le=86_400, description="a tag that stays in view for longer begins another episode; s"
    )
    tag_floor_dbm: int | None = Field(None, ge=-120, le=0, description="weaker reads of tags do not count; dBm")
    tag_floors: dict[Annotated[str, Field(pattern=r"^[0-9]{1,3}$")], Annotated[int, Field(ge=-120, le=0)]] = Field(
        default_factory=dict, description="the same by antenna, as { 1 = -65, 2 = -70 }; dBm"
    )
    tag_margin_db: int = Field(
        3, ge=0, le=30, description="by so much another antenna's mean must be stronger to be a tag's antenna; dB"
    )
    tag_most: int = Field(
        2_000, ge=10, le=20_000, description="tags in view at most; one more ends the episode of the one unread longest"
    )

    @model_validator(mode="after")
    def _bands(self) -> Rules:
        if self.zero_band >= self.min_load:
            raise ValueError("zero_band must lie below min_load|a zero_band well under min_load, e.g. a quarter of it")
        return self


class BatchList(_Section):
    """A list of the seller's open batches for a trace scale, kept up to date in a folder."""

    folder: str = Field(description="where the scale, or what serves it, looks for the file")
    scale: str = Field(pattern=r"^[A-Za-z0-9_-]{1,32}$", description="the scale's number, as in the file's name")
    layout: Literal["jz", "traceno"] = Field("jz", description="M_JZ_…, with a heading, or M_Traceno_…")
    unit: Literal["kg", "g"] = Field("kg", description="unit of the mass that is left")
    encoding: Literal["gb18030", "utf-8"] = Field("gb18030", description="of the goods' names")


class Station(_Section):
    """A place where one operator works, with its devices."""

    id: TopicLevel = Field(description="name of the station, unique")
    mode: str = Field("log", description="what observations become")
    devices: tuple[str, ...] = Field(min_length=1, description="ids of its devices")
    party: str | None = Field(None, description="code of the responsible market participant")
    operator: str | None = Field(None, description="who works here when nobody has signed in")
    role: Literal["goods", "party"] | None = Field(
        None, description="what its scanners read, where that decides what a code is; absent: as the mode has it"
    )
    codes: dict[str, Any] = Field(
        default_factory=dict,
        description='what decides about codes here: labels = [{ prefix, layout, … }], separators = ["|"]',
    )
    rules: Rules = Field(default_factory=lambda: Rules.model_validate({}))
    batch_lists: tuple[BatchList, ...] = Field((), description="lists of open batches for trace scales")

    _tuple = field_validator("devices", "batch_lists", mode="before")(
        lambda value: tuple(value) if isinstance(value, list) else value
    )


class Receipt(_Section):
    """What stands on receipts and labels besides the sale."""

    market: str | None = Field(None, description="name of the market, at the top")
    complaint: str | None = Field(None, description="telephone number for complaints")
    query_url: str | None = Field(
        None, description="page for buyers, opened by the QR code; {code} stands for the trace code"
    )
    footer: str | None = Field(None, description="last line")
    stalls: dict[str, str] = Field(default_factory=dict, description="names of the stalls, by station")
    sellers: dict[str, str] = Field(default_factory=dict, description="names of the sellers, by their code")

    @field_validator("query_url")
    @classmethod
    def _holds_the_code(cls, text: str | None) -> str | None:
        if text is not None and (not text.startswith(("https://", "http://")) or "{code}" not in text):
            raise ValueError(f"{text!r} cannot lead to a sale|https://…/{{code}}, with {{code}} for the trace code")
        return text


class WebTls(_Section):
    """The page's certificate and its private key."""

    cert: str = Field(description="file with the certificate, and those that vouch for it, in PEM")
    key: str = Field(description="file with its private key, in PEM")


_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Web(_Section):
    """The local page."""

    listen: str = Field("127.0.0.1:8080", description="address:port")
    pin_file: str | None = Field(
        None, description="file with the people and their PINs; needed where listen is not this box alone"
    )
    token_file: str | None = Field(None, description="file with the tokens of programs; absent: no local API")
    tls: WebTls | bool = Field(
        False, description="true: a certificate made by the agent; or { cert, key }; false: plain HTTP"
    )
    names: tuple[str, ...] = Field((), description="further host names under which the page is asked for")
    at_scale: tuple[str, ...] = Field(
        (), description="addresses of screens that stand beside the scale: zero and tare from there are not remote"
    )
    idle_lock: int = Field(600, ge=0, le=86_400, description="seconds until an idle page is locked; 0: never")
    public_board: bool = Field(False, description="the notice board for customers needs no sign-in")

    _tuples = field_validator("names", "at_scale", mode="before")(
        lambda value: tuple(value) if isinstance(value, list) else value
    )

    @field_validator("listen")
    @classmethod
    def _address(cls, text: str) -> str:
        host, _, port = text.rpartition(":")
        if not host or not port.isdigit() or not 0 <= int(port) <= 65535:
            raise ValueError(f"{text!r} is not address:port|e.g. 127.0.0.1:8080")
        return text

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def on_lan(self) -> bool:
        """Whether others than this box can ask."""
        return self.address[0] not in _LOOPBACK


class WebhookSection(_Section):
    """Another program that is told of each record."""

    id: TopicLevel = Field(description="name of the webhook, unique")
    url: str = Field(description="https://… where the records are posted; http:// only where you trust the line")
    secret_file: str = Field(description="file with the secret that signs the calls, at least 16 characters")
    types: tuple[Annotated[str, Field(pattern=r"^trace\.[a-z_]+\.v1$")], ...] = Field(
        (), description="types of record, such as trace.sale.v1; absent: all"
    )

    _tuple = field_validator("types", mode="before")(lambda value: tuple(value) if isinstance(value, list) else value)

    @field_validator("url")
    @classmethod
    def _address(cls, text: str) -> str:
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise ValueError(f"{text!r} is not an address to post to|https://host/path, without a user in it")
        return text


class Metrics(_Section):
    """Figures for a monitoring system."""

    enabled: bool = False


class Config(_Section):
    """A whole configuration."""

    gateway: Gateway
    store: StoreSection = Field(default_factory=lambda: StoreSection.model_validate({}))
    uplink: UplinkSection | None = None
    trust: tuple[Trust, ...] = ()
    device: tuple[Device, ...] = ()
    station: tuple[Station, ...] = ()
    receipt: Receipt = Field(default_factory=lambda: Receipt.model_validate({}))
    web: Web | None = None
    webhook: tuple[WebhookSection, ...] = ()
    metrics: Metrics | None = None

    _tuple = field_validator("trust", "device", "station", "webhook", mode="before")(
        lambda value: tuple(value) if isinstance(value, list) else value
    )

    _file: Path | None = PrivateAttr(default=None)

    @property
    def file(self) -> Path | None:
        """The file that it was read from; None where it was made otherwise."""
        return self._file

    @property
    def profiles(self) -> Path | None:
        """Where the site's own city profiles lie."""
        return None if self._file is None else self._file.parent / "profiles.d"

    @property
    def unused(self) -> tuple[str, ...]:
        """Keys that are understood and kept, and that this version does not act on yet."""
        return tuple(name for name in ("trust", "metrics") if getattr(self, name))
