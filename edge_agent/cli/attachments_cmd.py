"""`edge-agent attachments`: pictures and certificates that records name, with or without a running agent."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import orjson

from edge_agent.cli import exits
from edge_agent.cli.output import config_option, output_option, show, write
from edge_agent.cli.words import say


@click.group()
def command() -> None:
    """Pictures and certificates that records name by their hash."""


@command.command()
@config_option
@click.argument("file", type=click.Path(path_type=Path))
def add(config_path: Path, overrides: tuple[str, ...], file: Path) -> None:
    """Keep FILE (JPEG, PNG, WebP or PDF) and print its SHA-256, by which records name it."""
    from edge_agent.attachments import NotTaken
    from edge_agent.config import load
    from edge_agent.control import ControlClient
    from edge_agent.settings import open_attachments
    from edge_agent.store import Lock

    config = load(config_path, overrides)
    try:
        data = file.read_bytes() if file.stat().st_size <= config.store.attachment_max_bytes else None
    except OSError as problem:
        raise exits.Exit(exits.BAD_DATA, f"{file}: {problem.strerror}") from None
    if data is None:
        raise exits.Exit(exits.BAD_DATA, f"{file}: more than {config.store.attachment_max_bytes} bytes")
    try:
        client = ControlClient(Path(f"{config.store.path}.sock"), timeout=60.0)
    except ConnectionError:
        Path(config.store.path).parent.mkdir(parents=True, exist_ok=True)
        lock = Lock(Path(config.store.path))
        try:
            kept = open_attachments(config).keep(data)._asdict()
        except NotTaken as problem:
            raise exits.Exit(exits.BAD_DATA, f"{file}: {problem}") from None
        finally:
            lock.release()
    else:
        with client:
            client.send(data)
            answer = client.ask(do="attach")
        if not answer.pop("ok"):
            raise exits.Exit(exits.BAD_DATA, f"{file}: {answer['reason']}")
        kept = answer
    write(orjson.dumps(kept))


@command.command("list")
@config_option
@output_option
def list_attachments(config_path: Path, overrides: tuple[str, ...], output: str) -> None:
    """List what is kept, oldest first, and what the platform has of it: waiting, delivered or refused."""
    from edge_agent.config import load
    from edge_agent.settings import open_attachments

    rows = [each._asdict() for each in open_attachments(load(config_path, overrides), owner=False).every()]
    show(rows, ("sha256", "media_type", "size", "state"), output)


@command.command()
@config_option
@click.argument("sha256")
@click.option("--to", "target", type=click.Path(path_type=Path), help="A file; stdout by default.")
def get(config_path: Path, overrides: tuple[str, ...], sha256: str, target: Path | None) -> None:
    """Write the file with this hash."""
    from edge_agent.config import load
    from edge_agent.settings import open_attachments

    data = open_attachments(load(config_path, overrides), owner=False).read(sha256)
    if data is None:
        raise exits.Exit(exits.PROBLEMS, say("attachment.none", sha256=sha256))
    if target is None:
        sys.stdout.buffer.write(data)
        return
    try:
        target.write_bytes(data)
    except OSError as problem:
        raise exits.Exit(exits.CANNOT_CREATE, f"{target}: {problem.strerror}") from None


@command.command()
@config_option
@click.argument("sha256", required=False)
def requeue(config_path: Path, overrides: tuple[str, ...], sha256: str | None) -> None:
    """Send refused attachments again: the one with this hash, or all."""
    from edge_agent.config import load
    from edge_agent.control import ControlClient
    from edge_agent.settings import open_attachments
    from edge_agent.store import Lock

    config = load(config_path, overrides)
    try:
        with ControlClient(Path(f"{config.store.path}.sock")) as client:
            number = client.ask(do="attachments", requeue=True, sha256=sha256)["requeued"]
    except ConnectionError:
        lock = Lock(Path(config.store.path))
        try:
            number = open_attachments(config).requeue(sha256)
        finally:
            lock.release()
    click.echo(say("requeued", n=number))
