"""The page of a run: its numbers are the CSV's, it needs nothing from outside, and it works in a browser."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.report.evidence import Picture
from bench.report.page.bibtex import bibtex, entry
from bench.report.page.data import payload
from bench.report.page.render import page
from bench.report.page.sentences import findings, warnings
from bench.tables.formats import csv as render_csv
from tests.report.test_figures import SIZE, evidence_of, ramp

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)


@pytest.fixture(scope="module")
def run():
    rng = np.random.default_rng(0)
    values = {name: np.clip(rng.normal(mean, 0.05, 30), 0, 1)
              for name, mean in (("grad-cam", 0.2), ("b<i>", 0.4), ("c", 0.6), ("random", 0.5))}  # fmt: skip
    maps = {name: ramp() + i for i, name in enumerate(values)}
    rows = evidence_of(values, maps, controls=("random",))
    frame = rows.rows.assign(label=1, masked_image_top=[[1, 0]] * len(rows.rows),
                             masked_image_top_p=[[0.7, 0.3]] * len(rows.rows))  # fmt: skip
    frame.loc[frame.image == "0003", "right"] = False
    picture = Picture(rng.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8))
    answers = {image: np.log([0.4, 0.6]) for image in rows.images.id}
    return dataclasses.replace(rows, rows=frame, load=lambda image: picture, log_probabilities=answers)


@pytest.fixture(scope="module")
def file(run, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(page(run), encoding="utf-8")
    return path


class Cells(HTMLParser):
    """The numbers of the leaderboard: by method, the data-value of every cell."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[str]] = {}
        self.method: str | None = None

    def handle_starttag(self, tag, attrs):
        facts = dict(attrs)
        if "data-method" in facts:
            self.method = facts["data-method"]
            self.found[self.method] = []
        elif "data-value" in facts and self.method:
            self.found[self.method].append(facts["data-value"])


def test_every_number_of_the_table_is_that_of_the_csv(run, file):
    cells = Cells()
    cells.feed(file.read_text(encoding="utf-8"))
    table = pd.read_csv(io.StringIO(render_csv.leaderboard(run.board)), dtype=str, keep_default_na=False)
    assert set(cells.found) == set(table.method)
    for row in table.itertuples():
        assert cells.found[row.method] == [row.AD, row.I, row.D]


def test_nothing_is_fetched_and_nothing_breaks_out(file):
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"<(?:link|script|img)[^>]+(?:src|href)=[\"']?(?:https?:)?//", text)
    assert "@import" not in text
    assert "<i>" not in re.sub(r"<i class", "", text.split("<script")[0])  # the name `b<i>` is shown, not obeyed


def test_values_and_curves_of_the_scripts_are_those_of_the_rows(run):
    data = payload(run)
    names = [method["label"] for method in data["methods"]]
    for row in run.rows.sample(20, random_state=0).itertuples():
        assert data["values"]["AD"][row.image][names.index(row.method)] == pytest.approx(100 * row.AD, rel=1e-3)
        image = next(image for image in data["images"] if image["id"] == row.image)
        assert image["cells"][names.index(row.method)]["I"] == pytest.approx(row.I_vector, abs=1e-3)
    assert data["images"][0]["top"] == [[1, 0.6], [0, 0.4]]
    json.dumps(data, allow_nan=False)


def test_without_images_the_page_has_no_gallery_and_keeps_the_table(run):
    bare = dataclasses.replace(run, load=lambda image: None)
    assert payload(bare)["images"] == []
    assert "data-method" in page(bare)


def test_many_images_stay_under_eight_megabytes(run):
    """100 images × 24 methods with full-size maps: noise is the worst case for every image."""
    import torch

    rng = np.random.default_rng(1)
    names = [f"method-{i}" for i in range(24)]
    noise = torch.rand(64, 64)
    many = evidence_of({name: rng.uniform(size=100) for name in names}, dict.fromkeys(names, noise))
    frame = many.rows.assign(label=1, masked_image_top=[list(range(5))] * 2400, masked_image_top_p=[[0.2] * 5] * 2400)
    vectors = {name: [rng.uniform(size=29) for _ in range(2400)] for name in ("I_vector", "D_vector")}
    picture = Picture(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8))
    many = dataclasses.replace(many, rows=frame.assign(**vectors), size=64, load=lambda image: picture)
    assert len(page(many).encode()) < 8_000_000


def test_the_sentences_name_winners_and_what_cannot_be_told(run):
    best, controls, untold = findings(run.board)
    assert "too few" in best
    assert "No control" in controls
    assert re.match(r"Of \d+ differences from grad-cam, \d+ (is|are) not significantly different from zero", untold)
    assert "30 images" in warnings(run.board)[0]


def test_bibtex_names_author_year_and_eprint():
    text = entry("Selvaraju et al. 2017 (Grad-CAM), arXiv 1610.02391")
    assert text.startswith("@misc{selvaraju2017,")
    assert "eprint = {1610.02391}" in text
    assert "author = {Selvaraju and others}" in text
    assert entry("") == ""
    assert bibtex(["A 2020 (X)", "A 2020 (X)"]).count("@misc") == 1


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=[(375, "dark"), (1440, "light"), (1920, "dark")], ids=lambda p: f"{p[0]}-{p[1]}")
def opened(request, browser, file):
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    tab, problems = context.new_page(), []
    tab.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.goto(file.as_uri())
    tab.wait_for_selector("body[data-ready]")
    tab.wait_for_selector("#pareto svg")
    yield tab
    assert problems == []
    context.close()


def test_in_a_browser_one_sorts_filters_opens_and_scrubs(opened):
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    heading = opened.locator("#board thead button", has_text="AD").first
    for direction, pick in (("ascending", min), ("descending", max)):
        heading.click()
        assert opened.locator(f"#board th[aria-sort={direction}]").count() == 1
        values = opened.eval_on_selector_all(
            "#board tbody:not(.controls) tr[data-method] td[data-value]:nth-of-type(2)",
            "all => all.map(x => x.dataset.value)",
        )
        assert float(values[0]) == pick(map(float, values))
    opened.fill("#find", "grad")
    assert opened.locator("#board tr[data-method]:visible").count() == 1
    opened.fill("#find", "")
    opened.uncheck("#controls")
    assert not opened.locator("#board tbody.controls").is_visible()
    assert opened.locator("#maps tbody tr").count() == 20
    opened.select_option("#which", "wrong")
    assert opened.locator("#maps tbody tr").count() == 1
    opened.keyboard.press("Tab")
    button = opened.locator("#maps button").first
    button.focus()
    opened.keyboard.press("Enter")
    opened.wait_for_selector("dialog[open]")
    assert "0.600" in opened.inner_text("#before")
    assert "0.700" in opened.inner_text("#after")
    opened.fill("#scrub", "4")
    assert opened.inner_text("#scrubbed").startswith("100 %")
    opened.keyboard.press("Escape")
    assert opened.locator("dialog[open]").count() == 0
    opened.select_option("#reference", label="random")
    assert "minus random" in opened.inner_text("#contrast-note")


def test_axe_finds_nothing_serious(opened):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(opened).response["violations"]
    assert [(x["id"], x["nodes"][0]["html"][:120]) for x in found if x["impact"] in ("serious", "critical")] == []
    opened.locator("#maps button").first.click()
    opened.wait_for_selector("dialog[open]")
    found = axe.Axe().run(opened).response["violations"]
    assert [(x["id"], x["nodes"][0]["html"][:120]) for x in found if x["impact"] in ("serious", "critical")] == []
