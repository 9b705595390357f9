"""LaTeX of paper tables and leaderboards: their cells, and that TeX takes them without a box that sticks out."""

from __future__ import annotations

import re
import shutil
import subprocess

import pandas as pd
import pytest

from bench.core.errors import UsageError
from bench.paper.agreement import DIFFERENCES
from bench.paper.files import stored_report, write_files
from bench.paper.latex import PER_TABLE, STYLES, as_comparison, as_paper, parts
from bench.paper.render import Report
from bench.tables.paper_tables import load_table
from tests.places import ROOT

NAN = float("nan")
COLUMNS = ["model", "method", "metric", "paper", "measured", "low", "high", "difference", "why"]
METRICS = ("AD", "AI", "I", "D")


def report(measured: bool = True) -> Report:
    """The printed Opti-CAM table with measured numbers that are one point above the printed ones."""
    table = load_table("opticam-classification")
    rows = []
    for printed in table.printed.itertuples():
        value = float(printed.paper) + 1 if measured and printed.metric in METRICS else None
        rows.append([printed.model, printed.method, printed.metric, printed.paper, value, NAN, NAN, NAN, ""])
    cells, none = pd.DataFrame(rows, columns=COLUMNS), pd.DataFrame(columns=DIFFERENCES)
    return Report(table, cells, none, pd.DataFrame(columns=["model"]), ["classifier resnet50 & 100 % of it"])


def body(text: str) -> list[list[str]]:
    """The cells of the rows between the rules."""
    found = []
    for part in re.findall(r"\\midrule\n(.*?)\\bottomrule", text, re.DOTALL):
        found += [[cell.strip() for cell in re.sub(r"\\\\.*", "", line).split("&")] for line in part.splitlines()]
    return found


def test_as_paper_has_one_number_a_cell_and_the_best_in_bold():
    text = as_paper(report())
    rows = body(text)
    for row in rows:
        assert all(re.fullmatch(r"(\\textbf\{)?-?[\d.]+\}?|--|", cell) for cell in row[1:]), row
    first = body(text.split(r"\end{table*}")[0])
    drops = [row[1] for row in first if row[1] and row[1] != "--"]
    values = [float(re.sub(r"[^\d.]", "", cell)) for cell in drops]
    assert [bool("textbf" in cell) for cell in drops] == [value == min(values) for value in values]


def test_the_paper_stands_above_ours():
    table = load_table("opticam-classification")
    printed = table.printed[table.printed.method == "Grad-CAM"].set_index(["model", "metric"]).paper
    rows = body(as_comparison(report()))
    at = next(i for i, row in enumerate(rows) if row[0] == "Grad-CAM")
    above, below = rows[at], rows[at + 1]
    assert below[0] == ""
    assert above[1] == printed[("ResNet50", "AD")]
    assert float(re.sub(r"[^\d.]", "", below[1])) == pytest.approx(float(above[1]) + 1)


def test_provenance_is_a_comment_and_the_size_is_the_texts():
    text = as_paper(report())
    assert "% classifier resnet50 & 100 % of it" in text
    assert "resizebox" not in text
    assert "graphicx" not in text


def test_wide_tables_are_split_between_models():
    columns = [(model, metric) for model in ("a", "b", "c") for metric in "vwxyz"]
    assert [len(part) for part in parts(columns)] == [5, 5, 5]
    assert max(len(part) for part in parts([("", str(i)) for i in range(20)])) == PER_TABLE


def test_what_is_stored_is_written_again_without_anything_else(tmp_path):
    first = report()
    write_files(first, tmp_path, "paper")
    again = stored_report(first.table, tmp_path)
    assert as_paper(again) == (tmp_path / "opticam-classification.tex").read_text()
    assert again.facts == first.facts
    with pytest.raises(UsageError, match="without --stored first"):
        stored_report(first.table, tmp_path / "nowhere")


def test_stored_needs_neither_weights_nor_images(tmp_path, capsys):
    from cambench import main

    write_files(report(), tmp_path)
    assert main(["--table", "opticam-classification", "--stored", "--tex", "paper", "--out", str(tmp_path)]) == 0
    assert "Grad-CAM" in capsys.readouterr().out
    assert r"\textbf" in (tmp_path / "opticam-classification.tex").read_text()


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX on this machine")
@pytest.mark.parametrize("name", [*STYLES, "leaderboard"])
def test_tex_takes_it_and_nothing_sticks_out(name, tmp_path):
    published = ROOT / "results" / "published" / "efficientnet_lite0-imagenet-clean" / "leaderboard.tex"
    text = published.read_text() if name == "leaderboard" else STYLES[name](report())
    page = r"\documentclass[10pt]{article}\usepackage[a4paper,margin=2cm]{geometry}\usepackage{booktabs}"
    (tmp_path / "page.tex").write_text(page + "\n\\begin{document}\n" + text + "\\end{document}\n")
    ran = subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"], cwd=tmp_path,
                         capture_output=True, text=True)  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-2000:]
    assert (tmp_path / "page.pdf").stat().st_size > 1000
    if name != "leaderboard":
        assert "Overfull \\hbox" not in ran.stdout
