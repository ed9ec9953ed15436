"""The pages tell the truth about the tree: every link leads somewhere, every command named exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_agent.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    missing = [t for t in targets if t and "://" not in t and not (page.parent / t).exists()]
    assert missing == []


def test_every_command_of_the_readme_exists() -> None:
    import click

    text = (ROOT / "README.md").read_text()
    named = {tuple(words.split()[:2]) for words in re.findall(r"edge-agent ((?:[a-z]+ ?)+)", text)}
    with click.Context(app) as context:
        for words in named - {("",)}:
            command = app.get_command(context, words[0])
            assert command is not None, words
            if isinstance(command, click.Group) and len(words) > 1:
                assert words[1] in command.list_commands(context), words


def test_every_make_target_of_the_pages_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.M):
            assert re.search(rf"^{target}:", makefile, re.M), target
