"""`edge-agent web`: who may sign in at the page, and which programs may use the local API. No agent has to run."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from edge_agent.cli import exits
from edge_agent.cli.output import config_option, output_option, show
from edge_agent.cli.words import say

_ROLES = ("operator", "supervisor", "maintainer")
_SCOPES = ("read", "sell", "intake", "pay")


@click.group()
def command() -> None:
    """The page and the local API: PINs, cards, tokens."""


@command.group()
def pin() -> None:
    """Who may sign in at the page, and their PINs."""


@pin.command("set")
@config_option
@click.argument("person", metavar="ID")
@click.option("--name", help="As the page shows it.")
@click.option("--role", type=click.Choice(_ROLES), help="What somebody may do; a new person is an operator.")
@click.option("--stdin", is_flag=True, help="Read the PIN from standard input instead of asking for it.")
def pin_set(
    config_path: Path, overrides: tuple[str, ...], person: str, name: str | None, role: str | None, stdin: bool
) -> int:
    """Set the PIN of a person, who is added where there is none with this id. The id becomes the records' operator."""
    from edge_agent.web.access import Role
    from edge_agent.web.people import BadPeople, People

    secret = sys.stdin.readline().rstrip("\r\n") if stdin else _ask()
    try:
        made = People(_file(config_path, overrides, "pin_file")).put(
            person, name=name, role=None if role is None else Role(role), pin=secret
        )
    except BadPeople as problem:
        raise exits.Exit(exits.BAD_DATA, str(problem)) from problem
    click.echo(say("web.pin_set", id=made.id, name=made.name, role=str(made.role)), err=True)
    return exits.OK


@pin.command("list")
@config_option
@output_option
def pin_list(config_path: Path, overrides: tuple[str, ...], output: str) -> int:
    """List who may sign in."""
    from edge_agent.web.people import BadPeople, People

    try:
        people = People(_file(config_path, overrides, "pin_file")).all()
    except BadPeople as problem:
        raise exits.Exit(exits.BAD_DATA, str(problem)) from problem
    rows = [{**p.facts(), "pin": p.pin is not None, "cards": len(p.cards)} for p in people]
    show(rows, ("id", "name", "role", "pin", "cards"), output)
    return exits.OK


@pin.command("remove")
@config_option
@click.argument("person", metavar="ID")
def pin_remove(config_path: Path, overrides: tuple[str, ...], person: str) -> int:
    """Have somebody sign in no more; their sessions end."""
    from edge_agent.web.people import BadPeople, People

    try:
        found = People(_file(config_path, overrides, "pin_file")).remove(person)
    except BadPeople as problem:
        raise exits.Exit(exits.BAD_DATA, str(problem)) from problem
    if not found:
        raise exits.Exit(exits.BAD_DATA, say("web.no_person", id=person))
    return exits.OK


@command.command()
@config_option
@click.argument("person", metavar="ID")
def card(config_path: Path, overrides: tuple[str, ...], person: str) -> int:
    """Give a person a card: its number is read from standard input, as a reader types it."""
    from edge_agent.web.people import BadPeople, People

    text = sys.stdin.readline().strip()
    people = People(_file(config_path, overrides, "pin_file"))
    try:
        if people.find(person) is None:
            raise exits.Exit(exits.BAD_DATA, say("web.no_person", id=person))
        if len(text) < 4:
            raise exits.Exit(exits.BAD_DATA, say("web.no_card"))
        people.put(person, card=text)
    except BadPeople as problem:
        raise exits.Exit(exits.BAD_DATA, str(problem)) from problem
    return exits.OK


@command.group()
def token() -> None:
    """Which programs may use the local API."""


@token.command("new")
@config_option
@click.argument("name")
@click.option("--scope", "scopes", type=click.Choice(_SCOPES), multiple=True, required=True, help="Repeat for more.")
def token_new(config_path: Path, overrides: tuple[str, ...], name: str, scopes: tuple[str, ...]) -> int:
    """Make a token and print it. It is shown this once; only its hash is kept."""
    from edge_agent import clock
    from edge_agent.config import load
    from edge_agent.web.tokens import BadTokens, Tokens

    made = clock.rfc3339(clock.now().wall_ms, load(config_path, overrides).gateway.zone)
    try:
        click.echo(Tokens(_file(config_path, overrides, "token_file")).new(name, scopes, made))
    except BadTokens as problem:
        raise exits.Exit(exits.BAD_DATA, str(problem)) from problem
    return exits.OK


@token.command("list")
@config_option
@output_option
def token_list(config_path: Path, overrides: tuple[str, ...], output: str) -> int:
    """List the tokens; what they are cannot be shown again."""
    from edge_agent.web.tokens import BadTokens, Tokens

    try:
        tokens = Tokens(_file(config_path, overrides, "token_file")).all()
    except BadTokens as problem:
        raise exits.Exit(exits.BAD_DATA, str(problem)) from problem
    rows = [{"name": t.name, "scopes": [str(s) for s in t.scopes], "made": t.made} for t in tokens]
    show(rows, ("name", "scopes", "made"), output)
    return exits.OK


@token.command("revoke")
@config_option
@click.argument("name")
def token_revoke(config_path: Path, overrides: tuple[str, ...], name: str) -> int:
    """Have a token count no more, at once."""
    from edge_agent.web.tokens import BadTokens, Tokens

    try:
        found = Tokens(_file(config_path, overrides, "token_file")).revoke(name)
    except BadTokens as problem:
        raise exits.Exit(exits.BAD_DATA, str(problem)) from problem
    if not found:
        raise exits.Exit(exits.BAD_DATA, say("web.no_token", name=name))
    return exits.OK


def _file(config_path: Path, overrides: tuple[str, ...], key: str) -> Path:
    """The file that `[web]` names. Raises `Exit` where it names none."""
    from edge_agent.config import load

    section = load(config_path, overrides).web
    value = None if section is None else getattr(section, key)
    if value is None:
        raise exits.Exit(exits.CONFIGURATION, say("web.no_file", key=f"web.{key}"))
    return Path(value)


def _ask() -> str:
    return str(click.prompt(say("web.new_pin"), hide_input=True, confirmation_prompt=say("web.again"), err=True))
