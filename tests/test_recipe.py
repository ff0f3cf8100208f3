"""Recipes: every one on the shelf can be read, and what cannot be read says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn import recipe as recipes
from edgecnn import shelves
from edgecnn.errors import RecipeError

INPUT = "[model]\n[input]\nheight = 8\nwidth = 8\n"


@pytest.mark.parametrize("name", recipes.recipe_names())
def test_every_recipe_on_the_shelf_can_be_read(name: str) -> None:
    recipe = recipes.load_recipe(name)
    assert recipe.title
    assert 0 < recipe.train.epochs < 1000
    assert all(0 < least < 1 for least in recipe.accuracy.values())
    if name.partition("/")[0] != recipes.GENERIC:
        assert shelves.model_folder(recipe.model.source).is_dir()


def test_the_shelf_has_the_recipes_people_are_told_of() -> None:
    assert {"lenet", "lenet/tutorial", "resnet8", "generic"} <= set(recipes.recipe_names())


def test_a_recipe_is_read_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("title = 'x'\n" + INPUT + "[train]\nepochs = 3\n")
    recipe = recipes.load_recipe(str(path))
    assert recipe.train == recipes.TrainingPlan(epochs=3)
    assert recipe.input.pixel_shape == (8, 8, 3)


@pytest.mark.parametrize("name", ["nonet", "lenet/none", "../lenet", "/etc/x", "none.toml", "."])
def test_an_unknown_recipe_says_which_there_are(name: str) -> None:
    with pytest.raises(RecipeError, match="There is no recipe") as caught:
        recipes.load_recipe(name)
    assert "lenet" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("title = ", "is not TOML"),
        (INPUT, "missing required field `title`"),
        ("title = 'x'\n" + INPUT + "[train]\nepoch = 3\n", "nothing is called `train.epoch`"),
        ("title = 'x'\n" + INPUT + "[train]\nepochs = '3'\n", "Expected `int`, got `str`"),
        ("title = 'x'\n" + INPUT + "[train]\noptimizer = 'magic'\n", "Invalid enum value 'magic'"),
        ("title = 'x'\n" + INPUT + "color = 'gray'\n", "mean has 3 values"),
    ],
)
def test_a_recipe_that_cannot_be_read_says_why(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=problem):
        recipes.load_recipe(str(path))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="is not TOML"):
        recipes.load_recipe(str(path))


def test_changes_that_are_none_change_nothing() -> None:
    recipe = recipes.load_recipe("lenet")
    assert recipes.override(recipe, epochs=None) == recipe
    assert recipes.override(recipe, epochs=2, seed=None).train.epochs == 2


def test_model_arguments_have_the_types_they_look_like() -> None:
    pairs = (
        "filter-size=3",
        "width=1.5",
        "pooling=max",
        "bias=false",
        "name='7'",
        "empty=",
        "l=[1]",
    )
    assert recipes.parse_arguments(pairs) == {
        "filter_size": 3,
        "width": 1.5,
        "pooling": "max",
        "bias": False,
        "name": "7",
        "empty": "",
        "l": "[1]",
    }
    with pytest.raises(RecipeError, match="'width' is not KEY=VALUE"):
        recipes.parse_arguments(("width",))
