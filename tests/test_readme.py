"""Every command line that README.md and docs/ show can be typed: the command is there, and so are its options."""

import re
import shlex
from pathlib import Path

import click
import pytest

from headstart.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def command_lines():
    """Return the commands in code blocks, without comments, each with the page it stands on."""
    found = []
    for page in PAGES:
        for block in re.findall(r"^```\w*\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            for line in block.replace("\\\n", " ").splitlines():
                if re.match(r"(\.venv/bin/|uv run --no-sync )?headstart ", line):
                    # what is two spaces or a mark away is a comment
                    typed = re.split(r" {2,}| #", line[line.index("headstart ") :])[0]
                    found.append((page.name, typed))
    return found


def test_the_pages_show_commands():
    names = {typed.split()[1] for _, typed in command_lines()}
    assert {"compare", "predict", "explain", "report", "runs", "run", "recipes", "audit", "demo"} <= names


@pytest.mark.parametrize(("page", "typed"), command_lines(), ids=lambda value: str(value)[:60])
def test_a_command_can_be_typed(page, typed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command, arguments = app, shlex.split(typed)[1:]
    while isinstance(command, click.Group):
        name, *arguments = arguments
        assert name in command.commands, f"{page}: there is no command {name}"
        command = command.commands[name]
    for word in arguments:
        # options that name a folder of images look whether it is there
        if not word.startswith("-") and re.fullmatch(r"[\w/-]+", word) and not Path(word).exists():
            Path(word).mkdir(parents=True)
    command.make_context(name, arguments)
