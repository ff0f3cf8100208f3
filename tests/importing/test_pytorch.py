from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn import shelves
from edgecnn.bundle import Bundle, open_bundle
from edgecnn.errors import BundleError, DataError, InputError, ModelError, UnavailableError
from edgecnn.golden import make_npz
from edgecnn.importing import Choice, ImportReport, import_model
from edgecnn.importing.metadata import facts_of

torch = pytest.importorskip("torch")

SIZE = Choice(input_size=(8, 8))
SHADES = ("dark", "grey", "light")

NETS = '''
import torch
from torch import nn


class Net(nn.Module):
    """Classes by default, width and colour by argument."""

    def __init__(self, num_classes=7, width=4, in_channels=3):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 3, padding=1)
        self.bn = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x):
        return self.fc(torch.relu(self.bn(self.conv(x))).mean((2, 3)))


class Told(Net):
    def __init__(self, num_classes, **rest):
        super().__init__(num_classes, **rest)


class Fixed(Net):
    def __init__(self):
        super().__init__(3, 4, 1)


class Softmax(Net):
    def forward(self, x):
        return super().forward(x).softmax(1)


class Two(Net):
    def forward(self, x):
        scores = super().forward(x)
        return {"boxes": scores[:, None, :2], "scores": scores}


class Map(Net):
    def forward(self, x):
        return self.conv(x)


class Merged(Net):
    def forward(self, x):
        return super().forward(x).sum(0)


class Lazy(Net):
    def __init__(self, num_classes=7):
        super().__init__(num_classes)
        self.fc = nn.LazyLinear(num_classes)


class Aux(Net):
    def __init__(self, num_classes=7, aux_logits=True):
        super().__init__(num_classes)
        if aux_logits:
            self.aux = nn.Linear(1, 1)


class Versioned(Net):
    """Reads only what names its version, as torchvision's mnasnet does."""

    _version = 2

    def _load_from_state_dict(self, state, prefix, metadata, *rest):
        if metadata.get("version") != 2:
            raise ValueError("version should be 2")
        super()._load_from_state_dict(state, prefix, metadata, *rest)


class Stubborn(Net):
    def _load_from_state_dict(self, *_):
        raise KeyError("my own key")


class Tied(Net):
    def __init__(self, num_classes=3):
        super().__init__(num_classes, width=num_classes)
        self.again = nn.Linear(num_classes, num_classes)
        self.again.weight = self.fc.weight

    def forward(self, x):
        return self.again(super().forward(x))
'''


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to an empty folder, and give a file of nets beside it."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    path = tmp_path / "nets.py"
    path.write_text(NETS)
    return path


def weights_of(nets: Path, factory: str, **arguments: Any) -> Path:
    """Draw a net's weights and save them."""
    with torch.random.fork_rng():
        torch.manual_seed(6)
        net = getattr(shelves.load_file(nets), factory)(**arguments)
        # Batch norm that does something, so that losing its statistics is seen.
        net.bn.running_mean.uniform_(-1, 1)
        net.bn.running_var.uniform_(0.5, 2)
    path = nets.parent / f"{factory}.pth"
    torch.save(net.state_dict(), path)
    return path


def take(nets: Path, factory: str, weights: Path, **options: Any) -> ImportReport:
    return import_model(model=f"{nets}:{factory}", weights=weights, **({"choice": SIZE} | options))


def left_behind() -> list[Path]:
    return list(Path().rglob("*"))


def test_a_users_net_becomes_a_bundle_that_holds_its_weights(nets: Path) -> None:
    from edgecnn.nets import rebuild

    path = weights_of(nets, "Net", num_classes=5, width=3)
    report = take(nets, "Net", path, model_arguments={"width": 3})
    assert report.notes == ("Read off the weights: num_classes=5.",)
    assert (report.bundle, report.outputs) == ("runs/nets", {"logits": (5,)})
    assert report.parameters == sum(p.numel() for p in torch.load(path).values() if p.ndim) - 6
    assert report.model is not None
    assert report.model.arguments == {"num_classes": 5, "in_channels": 3, "width": 3}
    assert report.sources["mean"] == "assumed"
    bundle = open_bundle("runs/nets")
    assert bundle.manifest.environment["imported"] == "Net.pth"
    assert bundle.manifest.environment["imported_sha256"] == report.sha256
    rebuilt, saved = rebuild(bundle).state_dict(), torch.load(path)
    assert rebuilt.keys() == saved.keys()
    assert all(torch.equal(rebuilt[name], saved[name]) for name in saved)


def test_the_random_numbers_are_left_alone(nets: Path) -> None:
    path = weights_of(nets, "Net")
    before = torch.get_rng_state()
    take(nets, "Net", path)
    assert torch.equal(torch.get_rng_state(), before)


def test_classes_that_the_factory_must_be_told_are_read_off(nets: Path) -> None:
    report = take(nets, "Told", weights_of(nets, "Told", num_classes=9))
    assert report.outputs == {"logits": (9,)}
    assert report.notes == ("Read off the weights: num_classes=9.",)


def test_lazy_layers_take_the_weights_shape(nets: Path) -> None:
    from edgecnn.nets import rebuild

    path = weights_of(nets, "Net", num_classes=7)
    assert take(nets, "Lazy", path).outputs == {"logits": (7,)}
    rebuilt = rebuild(open_bundle("runs/nets"))
    assert torch.equal(rebuilt.state_dict()["fc.weight"], torch.load(path)["fc.weight"])


def test_missing_auxiliary_outputs_are_read_off(nets: Path) -> None:
    report = take(nets, "Aux", weights_of(nets, "Aux", aux_logits=False))
    assert report.notes == ("Read off the weights: aux_logits=False.",)
    assert take(nets, "Aux", weights_of(nets, "Aux"), output="with").notes == ()


def test_a_net_that_asks_for_its_version_is_loaded_and_made_again(nets: Path) -> None:
    from edgecnn.nets import rebuild

    path = weights_of(nets, "Versioned")
    take(nets, "Versioned", path)
    rebuilt = rebuild(open_bundle("runs/nets"))
    assert torch.equal(rebuilt.state_dict()["fc.bias"], torch.load(path)["fc.bias"])


def test_grey_input_is_read_off(nets: Path) -> None:
    report = take(nets, "Net", weights_of(nets, "Net", num_classes=3, in_channels=1))
    assert report.contract.color == "gray"
    assert report.sources["color"] == "the weights' first layer"
    assert report.contract.mean == (0.449,)
    fixed = take(nets, "Fixed", weights_of(nets, "Fixed"), output="runs/fixed")
    assert fixed.contract.channels == 1
    with pytest.raises(ModelError, match="does not take pictures of 8x8 with 3 channels"):
        take(nets, "Fixed", weights_of(nets, "Fixed"), choice=Choice((8, 8), "rgb"), output="x")


def test_a_softmax_and_other_outputs_are_recognised(nets: Path) -> None:
    soft = take(nets, "Softmax", weights_of(nets, "Softmax"))
    assert soft.contract.output_kind == "probabilities"
    assert soft.sources["output-kind"] == "the outputs, which add up to 1"
    maps = take(nets, "Map", weights_of(nets, "Map"), output="maps")
    assert (maps.contract.output_kind, maps.outputs) == ("other", {"output": (4, 8, 8)})
    two = take(nets, "Two", weights_of(nets, "Two"), output="two")
    assert two.outputs == {"boxes": (1, 2), "scores": (7,)}
    assert two.contract.output_kind == "other"
    named = take(
        nets, "Two", weights_of(nets, "Two"), output="named", choice=Choice((8, 8), output="scores")
    )
    assert (named.contract.output, named.contract.output_kind) == ("scores", "logits")


def test_shared_weights_are_kept(nets: Path) -> None:
    from edgecnn.nets import rebuild

    path = weights_of(nets, "Tied")
    take(nets, "Tied", path)
    rebuilt = rebuild(open_bundle("runs/nets"))
    assert torch.equal(rebuilt.state_dict()["again.weight"], torch.load(path)["fc.weight"])


def test_missing_counters_are_no_fault(nets: Path) -> None:
    path = weights_of(nets, "Net")
    state = torch.load(path)
    del state["bn.num_batches_tracked"]
    torch.save(state, path)
    assert take(nets, "Net", path).notes == (
        "1 counters of batch norm (num_batches_tracked) are missing, and not needed.",
    )


def test_weights_that_do_not_fit_are_listed(nets: Path) -> None:
    path = weights_of(nets, "Net", width=6)
    state = torch.load(path)
    del state["bn.weight"]
    state["extra.weight"] = torch.zeros(1)
    torch.save(state, path)
    with pytest.raises(ModelError) as caught:
        take(nets, "Net", path)
    assert caught.value.problem == (
        f"{path} does not fit {nets.resolve()}:Net: 1 missing (bn.weight); 1 not the net's "
        "(extra.weight); 6 of another shape (conv.weight is [6, 3, 3, 3], the net's [4, 3, 3, 3], "
        "conv.bias is [6], the net's [4], bn.bias is [6], the net's [4], bn.running_mean is [6], "
        "the net's [4], bn.running_var is [6], the net's [4] and 1 more)."
    )
    assert "--model-arg NAME=VALUE" in caught.value.remedy
    assert left_behind() == []


def test_a_checkpoint_that_knows_its_arguments_is_quoted(nets: Path) -> None:
    path = weights_of(nets, "Net", width=6)
    settings = {"width": 6, "lr": 0.1}
    torch.save({"state_dict": torch.load(path), "hyper_parameters": settings}, path)
    with pytest.raises(ModelError) as caught:
        take(nets, "Net", path)
    assert caught.value.remedy == "The checkpoint itself says --model-arg width=6."


@pytest.mark.parametrize(
    ("factory", "choice", "problem", "remedy"),
    [
        ("Net", Choice(), "Nothing says the size of the input", "--input-size"),
        ("Net", Choice((8, 8), layout="nhwc"), "--layout nhwc contradicts PyTorch: nchw", "out"),
        ("Net", Choice((8, 8), labels=("a", "b")), "2 labels are given, but .* 7 outputs", "each"),
        (
            "Net",
            Choice((8, 8), mean=(0.5,)),
            "mean has 1 value, but rgb has 3",
            "--mean 0.5,0.5,0.5",
        ),
        ("Two", Choice((8, 8), output="none"), "has no output 'none'", "boxes, scores"),
        ("Merged", SIZE, r"'logits' of .* has the shape \[7\] for 2 pictures", "first axis"),
        ("Stubborn", SIZE, "Stubborn cannot read .*: 'my own key'", "Mend"),
        ("Missing", SIZE, "has nothing called 'Missing'", "Net"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_leaves_nothing(
    nets: Path, factory: str, choice: Choice, problem: str, remedy: str
) -> None:
    path = weights_of(nets, factory if factory != "Missing" else "Net")
    with pytest.raises(InputError, match=problem) as caught:
        take(nets, factory, path, choice=choice)
    assert remedy in caught.value.remedy
    assert left_behind() == []


def test_other_weights_are_called_another_nets(nets: Path) -> None:
    path = nets.parent / "other.pth"
    torch.save({"features.0.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(ModelError, match=r"8 missing .* 1 not the net's") as caught:
        take(nets, "Net", path)
    assert caught.value.remedy.startswith("These are the weights of another net")


def test_what_is_to_be_imported_must_be_clear(tmp_path: Path) -> None:
    for arguments, problem in (
        ({}, "Nothing is named to import"),
        ({"file": "net.pth"}, "net.pth is no ONNX file"),
        ({"file": "net.onnx", "model": "lenet"}, "Two things are named"),
        ({"file": "net.onnx", "weights": "a.pth"}, "are about a PyTorch net"),
        ({"file": "net.onnx", "model_arguments": {"a": 1}}, "are about a PyTorch net"),
    ):
        with pytest.raises(InputError, match=problem):
            import_model(**arguments)


def test_an_existing_folder_is_kept_unless_forced(nets: Path) -> None:
    path = weights_of(nets, "Net")
    take(nets, "Net", path)
    with pytest.raises(BundleError, match="already exists"):
        take(nets, "Net", nets.parent / "refused before this is read.pth")
    assert take(nets, "Net", path, force=True).bundle == "runs/nets"
    Path("mine").mkdir()
    Path("mine/letter.txt").write_text("dear")
    with pytest.raises(BundleError, match="no bundle, so --force"):
        take(nets, "Net", path, force=True, output="mine")


def test_the_shelfs_own_weights_need_no_name(nets: Path) -> None:
    report = import_model(model="lenet")
    assert report.outputs == {"logits": (10,)}
    assert report.contract.labels[:2] == ("airplane", "automobile")
    assert (report.contract.mean, report.sources["mean"]) == ((0.5, 0.5, 0.5), "lenet's recipe")
    assert open_bundle("runs/lenet").manifest.model == report.model


def test_the_tutorials_file_is_taken(nets: Path) -> None:
    from dataclasses import replace

    from edgecnn.nets import make_net
    from edgecnn.recipe import ModelSpec, load_recipe

    contract = replace(load_recipe("lenet").input, labels=tuple("abcdefghij"))
    with torch.random.fork_rng():
        tutorial = make_net(ModelSpec("lenet"), contract)[0]
    torch.save(tutorial.state_dict(), "cifar_net.pth")
    report = import_model(model="lenet", weights="cifar_net.pth")
    assert report.sources["labels"] == "assumed, those of the shelf's weights"
    assert report.contract.labels[3] == "cat"
    few = dict(tutorial.state_dict())
    few |= {name: few[name][:3] for name in ("fc3.weight", "fc3.bias")}
    torch.save(few, "three.pth")
    three = import_model(model="lenet", weights="three.pth", output="three")
    assert three.contract.labels == ()
    assert three.notes == ("Read off the weights: num_classes=3.",)


def test_without_weights_the_remedy_says_how_to_get_them(nets: Path) -> None:
    with pytest.raises(ModelError, match="torchvision:resnet18 comes without weights") as caught:
        import_model(model="torchvision:resnet18")
    assert 'torchvision.models.get_model("resnet18", weights="DEFAULT")' in caught.value.remedy
    with pytest.raises(ModelError, match="comes without weights"):
        import_model(model=f"{nets}:Net")


# ------------------------------------------------------------ metadata


def test_torchvisions_metadata_give_the_contract(nets: Path) -> None:
    models = pytest.importorskip("torchvision.models")
    with torch.random.fork_rng():
        net = models.squeezenet1_1(weights=None, num_classes=4)
    torch.save(net.state_dict(), "mine.pth")
    report = import_model(model="torchvision:squeezenet1_1", weights="mine.pth")
    contract, source = report.contract, "torchvision's SqueezeNet1_1_Weights.IMAGENET1K_V1"
    assert (contract.height, contract.resize, contract.filter) == (224, "crop 256", "bilinear")
    assert (contract.mean, contract.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert {report.sources[name] for name in ("input-size", "mean", "std", "resize")} == {source}
    assert contract.labels == ()
    assert report.contract_lines[-1] == (
        f"The 1000 labels of {source} are passed over: the net has 4 outputs."
    )


def test_a_file_that_torchvision_knows_by_name_has_its_own_metadata() -> None:
    pytest.importorskip("torchvision")
    known = facts_of("torchvision:resnet50", Path("x/resnet50-0676ba61.pth"))[1]
    assert (known.source, known.choice.resize) == (
        "torchvision's ResNet50_Weights.IMAGENET1K_V1",
        "crop 256",
    )
    newest = facts_of("torchvision:resnet50", Path("mine.pth"))[1]
    assert (newest.source, newest.choice.resize) == (
        "torchvision's ResNet50_Weights.IMAGENET1K_V2",
        "crop 232",
    )
    assert len(newest.choice.labels or ()) == 1000


def test_every_torchvision_model_has_metadata() -> None:
    models = pytest.importorskip("torchvision.models")
    for name in models.list_models(module=models):
        choice = facts_of(f"torchvision:{name}", Path("mine.pth"))[1].choice
        assert choice.input_size is not None
        assert choice.resize is not None
        assert int(choice.resize.split()[1]) >= max(choice.input_size)
        assert choice.filter in {"bilinear", "bicubic"}


def test_timm_is_asked_for_by_name(nets: Path) -> None:
    path = weights_of(nets, "Net")
    try:
        import timm  # noqa: F401
    except ImportError:
        with pytest.raises(UnavailableError, match="needs timm") as caught:
            import_model(model="timm:resnet18", weights=path)
        assert caught.value.remedy == "Install it with `pip install timm`."
    else:
        facts = facts_of("timm:resnet18.tv_in1k", path)[1]
        assert (facts.source, facts.choice.resize) == ("timm's pretrained_cfg", "crop 256")


# ------------------------------------------------------------ data


@pytest.fixture
def shades(tmp_path: Path) -> Path:
    """Give 150 pictures in three shades, as .npz."""
    return _shades(tmp_path / "shades.npz", SHADES)


def _shades(path: Path, names: tuple[str, ...]) -> Path:
    random = np.random.default_rng(8)
    arrays: dict[str, Any] = {"labels": np.array(names)}
    for split, count in (("train", 120), ("test", 30)):
        labels = np.arange(count) % len(names)
        pixels = 60 * labels[:, None, None, None] + random.integers(0, 60, (count, 8, 8, 3))
        arrays |= {f"x_{split}": pixels.astype(np.uint8), f"y_{split}": labels.astype(np.int64)}
    path.write_bytes(make_npz(arrays))
    return path


def bundle_of(report: ImportReport) -> Bundle:
    return open_bundle(report.bundle)


def test_data_name_the_classes_and_are_kept(nets: Path, shades: Path) -> None:
    path = weights_of(nets, "Net", num_classes=3)
    report = take(nets, "Net", path, data=shades)
    assert report.contract.labels == SHADES
    assert report.sources["labels"] == "assumed, the data's classes by name"
    assert report.data is not None
    assert (report.data.train_images, report.data.test_images) == (120, 30)
    assert bundle_of(report).manifest.data == report.data
    assert report.detection is not None
    assert report.detection.images == 120
    quiet = take(nets, "Net", path, data=shades, output="quiet", detective=False)
    assert quiet.detection is None


def test_labels_that_are_given_keep_their_order(nets: Path, shades: Path) -> None:
    path = weights_of(nets, "Net", num_classes=4)
    labels = ("light", "none", "dark", "grey")
    report = take(nets, "Net", path, data=shades, choice=Choice((8, 8), labels=labels))
    assert (report.contract.labels, report.sources["labels"]) == (labels, "given")


def test_data_of_fewer_classes_are_read_by_name(nets: Path, shades: Path) -> None:
    from edgecnn.evaluation import bundle_data

    path = weights_of(nets, "Net", num_classes=4)
    labels = ("light", "none", "dark", "grey")
    report = take(nets, "Net", path, data=shades, choice=Choice((8, 8), labels=labels))
    found = bundle_data(bundle_of(report))
    assert found.labels == labels
    assert found.test.labels[:3].tolist() == [2, 3, 0]


@pytest.mark.parametrize(
    ("classes", "labels", "problem"),
    [
        (4, None, "has 3 classes, but the net has 4 outputs"),
        (2, None, "has 3 classes, but the net has 2 outputs"),
        (3, ("dark", "grey", "bright"), "classes that are not among the labels .*: light"),
    ],
)
def test_data_of_other_classes_are_refused(
    nets: Path, shades: Path, classes: int, labels: tuple[str, ...] | None, problem: str
) -> None:
    path = weights_of(nets, "Net", num_classes=classes)
    with pytest.raises(DataError, match=problem) as caught:
        take(nets, "Net", path, data=shades, choice=Choice((8, 8), labels=labels))
    assert ("that the net knows" if classes == 2 else "labels") in caught.value.remedy
    assert left_behind() == []


def test_data_of_other_names_rename_assumed_labels(nets: Path) -> None:
    names = tuple(f"class{number}" for number in range(10))
    data = _shades(Path("ten.npz"), names)
    report = import_model(model="lenet", data=data, detective=False)
    assert report.contract.labels == names
