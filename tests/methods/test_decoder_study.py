"""The study of losses and regularisers: its trials and its tables."""

import pandas as pd
import pytest

from methods.decoder.training import command as train
from methods.decoder.training import study
from methods.decoder.training.losses import LOSSES
from methods.decoder.training.recipe import Recipe
from methods.decoder.training.regularisers import REGULARISERS


@pytest.fixture
def args(tmp_path):
    return study.build_parser().parse_args(["--train", "a", "--val", "b", "--out", str(tmp_path)])


@pytest.mark.parametrize("trial", [*study.LOSSES, *study.REGULARISERS], ids=lambda trial: f"{trial.group}-{trial.name}")
def test_every_trial_is_a_recipe_of_the_training_command_with_a_folder_of_its_own(trial, args):
    asked = train.build_parser().parse_args(study.arguments(trial, args))
    recipe = train.build_recipe(asked)
    assert (recipe.epochs, recipe.seed, recipe.batch_size) == (2, 0, 10)
    others = [study.arguments(other, args) for other in (*study.LOSSES, *study.REGULARISERS) if other != trial]
    assert str(asked.out) not in {argument for one in others for argument in one}


def test_the_study_has_every_loss_that_needs_no_stored_maps_and_every_regulariser():
    names = {term.spec.name for trial in study.LOSSES for term in Recipe(trial.loss).losses}
    assert names == {entry.name for entry in LOSSES} - {"distil"}
    names = {term.spec.name for t in study.REGULARISERS for term in Recipe("ce", t.regulariser).regularisers}
    assert names == {entry.name for entry in REGULARISERS}


def test_tables_keep_the_order_of_the_trials_and_the_trials_names(tmp_path):
    board = pd.DataFrame(
        {"AD": [30.0, 10.0], "AD_n": [5, 5], "EP": [60.0, 70.0], "EP_n": [5, 5], "T_s": [0.1, 0.2], "passes": "1F"},
        index=pd.Index(["decoder(weights=b)", "grad-cam"], name="method"),
    )
    study.tabulate("losses", {"grad-cam": "Grad-CAM", "decoder(weights=b)": "ce"}, board, tmp_path)
    table = pd.read_csv(tmp_path / "losses.csv")
    assert table.to_dict("list") == {"losses": ["Grad-CAM", "ce"], "AD": [10, 30], "EP": [70, 60], "T_s": [0.2, 0.1]}
    assert (tmp_path / "losses.md").read_text().splitlines()[2].split("|")[1].strip() == "Grad-CAM"


def test_a_trial_that_does_not_exist_is_told(tmp_path, capsys):
    assert study.main(["--train", "a", "--val", "b", "--out", str(tmp_path), "--only", "nothing"]) == 2
    assert "names no trial" in capsys.readouterr().err
