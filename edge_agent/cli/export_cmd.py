"""`edge-agent records export`: the records for other programs, as a stream that needs little memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import orjson

from edge_agent.cli import exits
from edge_agent.cli.files import new_file
from edge_agent.cli.output import config_option, progress
from edge_agent.cli.verify import write_sidecar
from edge_agent.cli.words import language, say

if TYPE_CHECKING:
    from edge_agent.config import Config
    from edge_agent.exports.national import XmlProfile
    from edge_agent.exports.selection import Selection
    from edge_agent.exports.standings import Corrections
    from edge_agent.store import Reader

_PAGE: Final = 500
_BATCHES: Final = 20_000
"""Newest batches whose vouchers are at hand for the sales of an XML export."""
_PROFILE: Final = "meat-vegetables"


@click.command()
@config_option
@click.option(
    "--format", "form", type=click.Choice(["jsonl", "csv", "epcis", "xml"]), default="jsonl", show_default=True
)
@click.option("--to", "target", type=click.Path(path_type=Path), help="Default: stdout. A file is whole or not there.")
@click.option("--day", metavar="YYYY-MM-DD", help="Only records of this day, in the box's time zone.")
@click.option("--since", metavar="TIME", help="Only records from this day or time on.")
@click.option("--until", metavar="TIME", help="Only records before this day or time.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only this type, such as sale; repeat for more.")
@click.option("--station", "stations", multiple=True, help="Only this station; repeat for more.")
@click.option("--profile", "profile_name", metavar="NAME", help="City profile of the XML; default: as configured.")
def export(
    config_path: Path,
    overrides: tuple[str, ...],
    form: str,
    target: Path | None,
    profile_name: str | None,
    **bounds: Any,
) -> None:
    """Write records for other programs.

    jsonl: the stored events as they are, line by line; with --to and no bounds, FILE.proof holds beside them what was
    signed about them, for `records verify FILE`. csv: a table for spreadsheets. epcis: EPCIS 2.0 (JSON-LD).
    xml: messages of the city's node software, by profile. All but jsonl show what a record means today, after voids,
    amendments and returns.
    """
    from edge_agent.config import load
    from edge_agent.store import Reader

    config = load(config_path, overrides)
    selection = _selection(config, **bounds)
    profile = _profile(profile_name or config.gateway.city_profile, config_path) if form == "xml" else None
    with Reader.open(Path(config.store.path)) as reader:
        source = _Source(reader, selection)
        with new_file(target) as out:
            for piece in _pieces(form, source, selection, config, profile):
                out.write(piece)
        if form == "jsonl" and target is not None and not any(bounds.values()):
            write_sidecar(reader, target, source.last)
    click.echo(say("exported", n=source.count), err=True)


def _selection(
    config: Config,
    day: str | None,
    since: str | None,
    until: str | None,
    types: tuple[str, ...],
    stations: tuple[str, ...],
) -> Selection:
    from edge_agent.exports.selection import Selection, moment, of_day, type_name

    if day is not None and (since is not None or until is not None):
        raise click.UsageError("--day goes without --since and --until")
    zone = config.gateway.zone

    def read(option: str, text: str, parse: Callable[[str], Any]) -> Any:
        try:
            return parse(text)
        except ValueError as problem:
            raise click.UsageError(f"{option} {text}: {problem}") from None

    begin: datetime | None
    end: datetime | None
    if day is not None:
        begin, end = of_day(read("--day", day, date.fromisoformat), zone)
    else:
        begin, end = (
            None if text is None else read(option, text, lambda value: moment(value, zone))
            for option, text in (("--since", since), ("--until", until))
        )
    return Selection(
        since=begin,
        until=end,
        types=frozenset(read("--type", text, type_name) for text in types),
        stations=frozenset(stations),
    )


def _profile(name: str | None, config_path: Path) -> XmlProfile:
    """The profile of this name: a file of the site, else one that comes with the agent."""
    from edge_agent.city import load_city
    from edge_agent.exports.national import BadProfile, profile_of

    _, settings, faults = load_city(name, config_path.parent / "profiles.d", (str(config_path), "gateway.city_profile"))
    if faults:
        text = "\n".join(f"{fault.file}: {fault.key}: {fault.what}; {fault.hint}" for fault in faults)
        raise exits.Exit(exits.CONFIGURATION, text)
    try:
        return profile_of(settings, f"profile {settings['name']}")
    except BadProfile as problem:
        raise exits.Exit(exits.CONFIGURATION, str(problem)) from None


class _Source:
    """The records of a store that are wanted, up to what was the last one when the export began."""

    def __init__(self, reader: Reader, selection: Selection) -> None:
        self._reader = reader
        self._selection = selection
        self.last = reader.head().sequence
        self.count = 0

    def bodies(self) -> Iterator[bytes]:
        """Their stored bytes."""
        for body, _ in self._wanted():
            yield body

    def events(self) -> Iterator[dict[str, Any]]:
        """Their events."""
        for _, event in self._wanted():
            yield event

    def _wanted(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        after = self._reader.anchor().sequence
        with progress(range(self.last), self.last, "export") as bar:
            while rows := self._reader.read(after + 1, last=self.last, limit=_PAGE):
                for row in rows:
                    event = orjson.loads(row.body)
                    if self._selection.holds(event):
                        self.count += 1
                        yield row.body, event
                bar.update(rows[-1].sequence - after)
                after = rows[-1].sequence

    def event(self, sequence: int) -> dict[str, Any] | None:
        """One record by its place."""
        rows = self._reader.read(sequence, last=sequence, limit=1)
        event: dict[str, Any] | None = orjson.loads(rows[0].body) if rows else None
        return event

    def corrections(self) -> Corrections:
        """All corrections that are kept, whatever is wanted: they say what a record means today."""
        from edge_agent.exports.standings import Corrections

        rows = self._reader.holding(b'"corrects":"', last=self.last)
        return Corrections.among((orjson.loads(row.body) for row in rows), self.event)

    def of_type(self, name: str) -> Iterator[dict[str, Any]]:
        """All kept records of a type."""
        for row in self._reader.holding(b'"type":"%b"' % name.encode(), last=self.last):
            event = orjson.loads(row.body)
            if event["type"] == name:
                yield event


def _pieces(
    form: str, source: _Source, selection: Selection, config: Config, profile: XmlProfile | None
) -> Iterator[bytes]:
    created = datetime.now(UTC).astimezone(config.gateway.zone).isoformat(timespec="milliseconds")
    if form == "jsonl":
        for body in source.bodies():
            yield body + b"\n"
    elif form == "csv":
        from edge_agent.exports import table

        yield from table.document(source.events(), corrections=source.corrections(), language=language())
    elif form == "epcis":
        from edge_agent.exports import epcis

        yield from epcis.document(
            source.events(),
            created=created,
            corrections=source.corrections(),
            read=source.event,
            selected=selection.holds,
        )
    else:
        from edge_agent.exports import national

        assert profile is not None
        corrections = source.corrections()
        yield from national.document(
            source.events(),
            profile=profile,
            place=_place(source, corrections, config),
            corrections=corrections,
            created=created,
        )


def _place(source: _Source, corrections: Corrections, config: Config) -> Any:
    from edge_agent.exports.national import Place, vouchers_of
    from edge_agent.records.bodies import Intake, Party

    gateway = config.gateway
    parties = {}
    for event in source.of_type(Party.TYPE):
        now = corrections.standing(event)
        if now.void_by is None:
            parties[now.data["code"]] = now.data["name"]
    vouchers: OrderedDict[str, dict[str, str]] = OrderedDict()
    for event in source.of_type(Intake.TYPE):
        now = corrections.standing(event)
        if now.void_by is None:
            vouchers[now.data["batch"]] = vouchers_of(now.data)
            if len(vouchers) > _BATCHES:
                vouchers.popitem(last=False)
    return Place(
        site=gateway.site,
        node_type=gateway.node_type,
        market_id=gateway.market_code or gateway.site,
        market_name=gateway.market_name or gateway.site,
        parties=parties,
        vouchers=vouchers,
    )
