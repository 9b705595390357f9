"""What the pages quote exists."""

from __future__ import annotations

import ast
import re

import pytest

from tests.places import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
QUOTED = re.findall(r"^\| (`.+?`)[^`|]*\|", PAGE, re.MULTILINE)


def said() -> str:
    """All text in quotes of the program, one piece after the other."""
    files = [ROOT / "cambench.py", *(file for folder in ("bench", "methods") for file in (ROOT / folder).rglob("*.py"))]
    trees = (ast.parse(file.read_text()) for file in files)
    return "\n".join(node.value for tree in trees for node in ast.walk(tree)
                     if isinstance(node, ast.Constant) and isinstance(node.value, str))  # fmt: skip


SAID = said()


@pytest.mark.parametrize("message", QUOTED)
def test_troubleshooting_quotes_what_the_program_says(message):
    """The pieces between what differs are pieces of messages; a capital NAME stands for what differs too."""
    pieces = [piece.strip(" ;?") for piece in re.split(r"…|\bNAME\b|\bmethod\b|\b2\b", message.strip("`"))]
    pieces = [piece for piece in pieces if len(piece) > 4]
    assert pieces
    for piece in pieces:
        assert piece in SAID, piece


def test_there_are_messages():
    assert len(QUOTED) > 40
