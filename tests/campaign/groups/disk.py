"""The results folder and what may be wrong with it."""

from __future__ import annotations

from pathlib import Path

from tests.campaign.case import Group, Step, fine, refused, said
from tests.campaign.inputs import command, having, table, text

disk = Group("disk")
GROUPS = [disk]


def has_table(folder: Path, out: str = "out") -> None:
    assert table(folder, out).loc["gradient", "status"] == "ok"


def damage(pattern: str, content: bytes = b"nonsense"):
    """An action that overwrites the first file of a pattern."""

    def act(folder: Path) -> None:
        sorted(folder.glob(pattern))[0].write_bytes(content)

    return act


again = Step(tuple(command()), fine())
for name, action in (
    ("a file where the results folder should be", text("out", "x")),
    ("a file where scores should be", text("out/scores", "x")),
    ("a file where maps should be", text("out/maps", "x")),
    ("a file where figures should be", text("out/figures", "x")),
    ("a folder where the leaderboard should be", lambda folder: (folder / "out/leaderboard.csv").mkdir(parents=True)),
    ("a link to nothing as results folder", lambda folder: (folder / "out").symlink_to("nowhere/at/all")),
):
    disk.add(name, command(), said("out", "cannot|move|in the way|Exists|exists") if "link" not in name else said(""),
             make=having(action))  # fmt: skip
disk.add("a name of 300 letters", command("--out", "x" * 300), refused("too long|shorter"), make=having())
disk.add("a results folder in a folder that is not there", command("--out", "a/b/c/out"), fine(), make=having(),
         check=lambda folder: has_table(folder, "a/b/c/out"))  # fmt: skip
disk.add("an empty results folder's name", command("--out", ""), refused("empty"), make=having())
disk.add("a name with spaces and letters of others", command("--out", "mes résultats — 結果"), fine(), make=having(),
         check=lambda folder: has_table(folder, "mes résultats — 結果"))  # fmt: skip
disk.add("a home of nobody", command("--out", "~nobody-of-this-name/out"), refused("home"), make=having())
for name, pattern in (
    ("a damaged scores file", "out/scores/*.parquet"),
    ("a damaged file of clean answers", "out/clean/*.parquet"),
    ("damaged maps", "out/maps/*.safetensors"),
    ("a damaged table", "out/leaderboard.csv"),
    ("a damaged list of images", "out/images.csv"),
    ("a damaged run.json", "out/run.json"),
):
    disk.add(name, command(), fine(), make=having(), then=[damage(pattern), again], check=has_table)
for name, file, content in (
    ("a foreign file among the scores", "out/scores/notes.txt", "hello"),
    ("a Parquet file of somebody else", "out/scores/x.parquet", "PAR1"),
    ("a folder among the scores", "out/scores/x.parquet/inside", "x"),
):
    disk.add(name, command(), fine(), make=having(), then=[text(file, content), again], check=has_table)
