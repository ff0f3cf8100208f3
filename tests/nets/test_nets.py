from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from edgecnn import shelves
from edgecnn.errors import ModelError
from edgecnn.recipe import ModelSpec
from edgecnn.spec import InputContract

torch = pytest.importorskip("torch")
models = pytest.importorskip("edgecnn.nets")

CONTRACT = InputContract(32, 32, labels=tuple("abcdefghij"))

BAD_NETS = """
import torch
from torch import nn

ready = nn.Linear(2, 2)
number = 3
picture = 3 * 32 * 32

def no_net():
    return "net"

def wrong_outputs():
    return nn.Sequential(nn.Flatten(), nn.Linear(picture, 7))

def wrong_inputs():
    return nn.Sequential(nn.Flatten(), nn.Linear(5, 10))

def no_weights():
    return nn.Flatten()

class TwoOutputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(picture, 10)

    def forward(self, x):
        x = self.fc(x.flatten(1))
        return (x, x) if self.training else x
"""


def make(source: str, **arguments: Any) -> Any:
    return models.make_net(ModelSpec(source, arguments), CONTRACT)[0]


def tutorial_net() -> Any:
    """The net as the tutorial writes it."""
    nn, functional = torch.nn, torch.nn.functional

    class Net(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(3, 6, 5)
            self.pool = nn.MaxPool2d(2, 2)
            self.conv2 = nn.Conv2d(6, 16, 5)
            self.fc1 = nn.Linear(16 * 5 * 5, 120)
            self.fc2 = nn.Linear(120, 84)
            self.fc3 = nn.Linear(84, 10)

        def forward(self, x: Any) -> Any:
            x = self.pool(functional.relu(self.conv1(x)))
            x = self.pool(functional.relu(self.conv2(x)))
            x = torch.flatten(x, 1)
            x = functional.relu(self.fc1(x))
            x = functional.relu(self.fc2(x))
            return self.fc3(x)

    return Net()


def test_lenet_is_the_tutorials_net() -> None:
    ours, tutorial = make("lenet"), tutorial_net()
    assert list(ours.state_dict()) == list(tutorial.state_dict())
    ours.load_state_dict(tutorial.state_dict())
    images = torch.randn(5, 3, 32, 32)
    assert torch.equal(ours(images), tutorial(images))
    assert models.parameter_count(ours) == 62_006


def test_lenet_draws_the_tutorials_first_weights() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        tutorial = tutorial_net().state_dict()
        torch.manual_seed(3)
        ours = make("lenet").state_dict()
    assert all(torch.equal(ours[name], tutorial[name]) for name in tutorial)


@pytest.mark.parametrize(
    ("arguments", "weights"),
    [
        ({"pooling": "avg"}, 62_006),
        ({"filter_size": 3, "depth": 3}, 32_182),
        ({"width": 2.0}, 117_678),
        ({"depth": 1}, 152_710),
    ],
)
def test_lenets_arguments_change_the_net(arguments: dict[str, Any], weights: int) -> None:
    assert models.parameter_count(make("lenet", **arguments)) == weights


def test_average_pooling_averages() -> None:
    net = make("lenet", pooling="avg")
    image = torch.randn(1, 3, 32, 32)
    first = torch.relu(net.conv1(image))
    means = first.reshape(1, 6, 14, 2, 14, 2).mean((3, 5))
    assert torch.allclose(net.pool(first), means)


def test_lenet_takes_other_pictures() -> None:
    contract = InputContract(40, 24, "gray", mean=(0.5,), std=(0.5,), labels=("a", "b"))
    net, model = models.make_net(ModelSpec("lenet"), contract)
    assert net(torch.zeros(3, 1, 40, 24)).shape == (3, 2)
    assert model.arguments == {
        "num_classes": 2,
        "in_channels": 1,
        "input_height": 40,
        "input_width": 24,
    }


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"pooling": "median"}, "pooling is 'max' or 'avg', not 'median'"),
        ({"depth": 5}, "depth is 1 to 4, not 5"),
        ({"depth": 4}, "leave nothing of 32x32 pixels"),
        ({"filters": 5}, "unexpected keyword argument 'filters'"),
    ],
)
def test_wrong_arguments_are_one_sentence(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(ModelError, match=problem) as caught:
        make("lenet", **arguments)
    assert "filter_size" in caught.value.remedy


def test_resnet8_has_the_weights_of_mlperf_tiny() -> None:
    net = make("resnet8")
    assert models.parameter_count(net) == 77_946
    maps: list[tuple[int, ...]] = []
    for stack in (net.stack1, net.stack2, net.stack3):
        stack.register_forward_hook(lambda _m, _i, output: maps.append(tuple(output.shape[1:])))
    assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert maps == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]


def test_resnet20_has_twenty_layers_and_the_papers_weights() -> None:
    net = make("resnet20")
    # The paper's net has 269,722; its shortcuts of option A have none.
    shortcuts = (16 * 32 + 2 * 32) + (32 * 64 + 2 * 64)
    assert models.parameter_count(net) == 269_722 + shortcuts
    kinds = (torch.nn.Conv2d, torch.nn.Linear)
    layers = [module for module in net.modules() if isinstance(module, kinds)]
    assert sum(getattr(layer, "kernel_size", ()) != (1, 1) for layer in layers) == 20
    maps: list[tuple[int, ...]] = []
    for stage in (net.stage1, net.stage2, net.stage3):
        stage.register_forward_hook(lambda _m, _i, output: maps.append(tuple(output.shape[1:])))
    assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert maps == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]


@pytest.mark.parametrize("path", sorted(shelves.shelf("models").glob("*/model.py")))
def test_models_on_the_shelf_import_torch_alone(path: Path) -> None:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).split(".")[0])
    assert found <= {"torch", "__future__"}


def test_a_users_own_file_is_recorded_by_path_and_digest(tmp_path: Path) -> None:
    path = tmp_path / "own_net.py"
    path.write_text(BAD_NETS.replace("Linear(picture, 7)", "Linear(picture, 10)"))
    _, model = models.make_net(ModelSpec(f"{path}:wrong_outputs"), CONTRACT)
    assert model.source == f"{path.resolve()}:wrong_outputs"
    assert len(model.sha256) == 64


def test_an_installed_modules_factory_is_taken() -> None:
    net, model = models.make_net(
        ModelSpec("torchvision.models.squeezenet:squeezenet1_1", {"num_classes": 10}), CONTRACT
    )
    assert model.sha256 == ""
    assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize(
    ("source", "problem", "remedy"),
    [
        ("nonet", "There is no model 'nonet' on the shelf", "lenet"),
        ("nothere.py", "There is no file", "Check the path"),
        ("no.such.module:make", "There is no module", "path that ends in .py"),
        ("torchvision:squeezenet1_2", "no classification model", "torchvision:squeezenet1_1"),
        ("", "names no model", "--model"),
        ("{file}:nothing", "has nothing called 'nothing'", "wrong_outputs"),
        ("{file}", "has nothing called 'Net'", "FACTORY"),
        ("{file}:ready", "is a Linear, not something that makes a net", "function"),
        ("{file}:number", "is a int, not something that makes a net", "function"),
        ("{file}:no_net", "makes a str, not a torch.nn.Module", "function"),
        ("{file}:no_weights", "has no weights to train", "another model"),
        ("{file}:wrong_outputs", r"\[2, 7\] for 2 pictures, but the data has 10", "Write 10 into"),
        ("{file}:wrong_inputs", "does not take pictures of 32x32 with 3 channels", "--input-size"),
        ("{file}:TwoOutputs", "gives a tuple, not one tensor", "aux_logits"),
    ],
)
def test_a_model_that_cannot_be_is_one_sentence(
    tmp_path: Path, source: str, problem: str, remedy: str
) -> None:
    path = tmp_path / "bad_nets.py"
    path.write_text(BAD_NETS)
    with pytest.raises(ModelError, match=problem) as caught:
        make(source.format(file=path))
    assert remedy in caught.value.remedy
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("where", ["def __init__(self):", "def forward(self, x):"])
def test_a_net_that_ends_the_program_is_refused(tmp_path: Path, where: str) -> None:
    lines = [
        "import torch",
        "class Net(torch.nn.Module):",
        f"    {where}",
        "        raise SystemExit",
    ]
    if "forward" in where:
        lines[2:2] = ["    def __init__(self):", "        super().__init__()"]
        lines[4:4] = ["        self.last = torch.nn.Linear(1, 1)"]
    (tmp_path / "ending.py").write_text("\n".join(lines))
    with pytest.raises(ModelError, match="SystemExit"):
        make(f"{tmp_path / 'ending.py'}:Net")
