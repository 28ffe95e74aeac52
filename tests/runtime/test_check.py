"""What ``check`` reports of models that work, and where it runs them."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
import torch
from torch import nn

from conv_lint.runtime import ShapeError, check
from tests.runtime import models

IMAGE = (2, 3, 32, 32)


# the report -------------------------------------------------------------------------------------------------


def test_a_row_for_each_call() -> None:
    report = check(models.Residual(), IMAGE)
    assert [call.path for call in report.calls] == ["", "one", "two", "short", "pool", "fc"]
    one = report.find("one")
    assert (one.type, one.input, one.output, one.weight) == ("Conv2d", IMAGE, (2, 8, 16, 16), (8, 3, 3, 3))
    assert one.parameters == 8 * 3 * 9 + 8
    assert one.multiply_adds == 2 * 8 * 16 * 16 * 3 * 9
    assert report.find("fc").multiply_adds == 2 * 512 * 10
    assert report.multiply_adds == sum(call.multiply_adds for call in report.calls if call.leaf)
    assert report.output == (2, 10)
    assert report.parameters == sum(p.numel() for p in models.Residual().parameters())


def test_receptive_field_and_stride() -> None:
    report = check(models.Residual(), IMAGE)
    fields = {c.path: (c.receptive_field, c.stride) for c in report.calls}
    assert fields["one"] == ((3, 3), (2, 2))
    assert fields["two"] == ((7, 7), (2, 2))
    assert fields["short"] == ((1, 1), (2, 2))
    assert fields["pool"] == ((9, 9), (4, 4))  # of the join the larger field: 7 + (2 - 1)*2
    assert fields["fc"] == (None, None)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_field_is_what_a_gradient_reaches(n: int) -> None:
    """The pixels of the input that one value of the output depends on, counted by a gradient."""
    conv, pool = getattr(nn, f"Conv{n}d"), getattr(nn, f"AvgPool{n}d")
    model = nn.Sequential(
        conv(1, 1, 3, dilation=2, padding=2), nn.ReLU(), pool(2), conv(1, 1, 3, stride=2), conv(1, 1, 2)
    )
    for p in model.parameters():
        nn.init.ones_(p)
    x = torch.ones(1, 1, *[40] * n, requires_grad=True)
    y = model(x)
    y[(0, 0, *[y.shape[-1] // 2] * n)].backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    touched = x.grad[0, 0].nonzero()
    size = (touched.max(0).values - touched.min(0).values + 1).tolist()
    last = check(model, tuple(x.shape)).calls[-1]
    # A dilated kernel skips pixels at the edge of nothing: the extent is the field.
    assert list(last.receptive_field or ()) == size
    assert last.stride == (4,) * n


def test_uneven_windows_are_given_for_each_axis() -> None:
    call = check(nn.Sequential(nn.Conv2d(3, 4, (1, 7), stride=(1, 2))), IMAGE).find("0")
    assert call.receptive_field == (1, 7)
    assert call.record()["receptive_field"] == [1, 7]
    assert call.cells()[-2:] == ("1x7", "1x2")


def test_the_table_prints() -> None:
    text = str(check(models.Residual(), IMAGE))
    assert "(2, 8, 16, 16)" in text
    assert "receptive" not in text.splitlines()[0]
    assert text.splitlines()[-1].endswith("ran on meta")


def test_the_table_prints_without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "rich.console", None)
    text = str(check(models.Residual(), IMAGE))
    assert "  one    Conv2d" in text


def test_json_and_records() -> None:
    report = check(models.Residual(), IMAGE)
    data = json.loads(report.to_json())
    assert data["output_shape"] == [2, 10]
    assert data["calls"] == report.to_records()
    assert data["calls"][1]["input_shape"] == list(IMAGE)
    assert set(data["calls"][1]) == {
        "path", "type", "depth", "leaf", "input_shape", "output_shape", "weight_shape", "parameters", "multiply_adds",
        "receptive_field", "stride",
    }  # fmt: skip


def test_records_make_a_data_frame() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(check(models.Residual(), IMAGE).to_records())
    assert frame[frame.leaf].multiply_adds.sum() == check(models.Residual(), IMAGE).multiply_adds


def test_an_unknown_path_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="was not called"):
        check(models.Small(), IMAGE).find("layer9")


# arguments --------------------------------------------------------------------------------------------------


def test_several_inputs() -> None:
    report = check(models.TwoInputs(), IMAGE, (2, 5), scale=0.5)
    assert report.calls[0].input == [IMAGE, (2, 5)]
    assert report.output == (2, 4)


def test_dicts_and_tuples() -> None:
    report = check(models.Nested(), {"pair": ((3, 4), torch.zeros(3, 5)), "name": "a"})
    assert report.output == {"sum": (3, 6), "name": None}
    assert report.calls[0].input == {"pair": [(3, 4), (3, 5)], "name": None}


def test_tensors_keep_their_dtype() -> None:
    assert check(nn.Embedding(10, 4), torch.zeros(2, 7, dtype=torch.long)).output == (2, 7, 4)


def test_shapes_have_the_dtype_of_the_model() -> None:
    assert check(nn.Linear(3, 4).double(), (2, 3)).output == (2, 4)
    assert check(nn.Linear(3, 4).half(), (2, 3), device="cpu").output == (2, 4)


def test_tensors_of_the_caller_are_not_changed() -> None:
    class InPlace(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return x.add_(1)

    x = torch.zeros(2)
    check(InPlace(), x, device="cpu")
    check(InPlace(), x)
    assert not x.any()


# kinds of models --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("make", "shape", "output"),
    [
        (models.Small, IMAGE, (2, 10)),
        (models.Sequence, (2, 1, 32, 40), (2, 20, 11)),
        (models.WithFunction, IMAGE, (2, 4, 30, 30)),
        (models.Counter, IMAGE, (2, 4, 30, 30)),
        (models.Lazy, IMAGE, (2, 10)),
    ],
)
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_models_of_many_kinds(make: Any, shape: Any, output: Any, training: bool, device: str) -> None:
    report = check(make().train(training), shape, device=device)
    assert report.output == output
    assert report.note is None
    assert report.device == device


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_attention_and_transformers() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, batch_first=True)
    report = check(nn.TransformerEncoder(layer, 2).eval(), (2, 7, 16))
    assert report.output == (2, 7, 16)
    assert report.multiply_adds > 2 * 2 * 7 * 16 * 2048 * 2


def test_a_forward_that_reads_numbers_runs_for_real() -> None:
    report = check(models.Reads(), IMAGE)
    assert report.device == "cpu"
    assert report.note is not None
    assert "cannot run on fake tensors" in report.note
    assert report.output == (2, 4, 30, 30)


@pytest.mark.parametrize("make", [models.OwnDevice, models.Mixed])
def test_a_forward_that_asks_for_a_device_runs_on_fake_tensors(make: Any) -> None:
    report = check(make(), IMAGE)
    assert report.device == "fake"
    assert report.note is not None
    assert "cannot run on meta tensors" in report.note


def test_under_autocast() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert check(models.Small(), IMAGE).output == (2, 10)
        assert check(models.Small(), IMAGE, device="cpu").output == (2, 10)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, contextlib.nullcontext])
def test_under_any_grad_mode(mode: Any) -> None:
    with mode():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        assert check(models.Small(), IMAGE).output == (2, 10)
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before


def test_a_forward_that_differentiates() -> None:
    class Energy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 1)

        def forward(self, x: torch.Tensor) -> Any:
            x = x.requires_grad_()
            return torch.autograd.grad(self.fc(x).sum(), x)[0]

    assert check(Energy(), (5, 3)).output == (5, 3)


def test_wrapped_models_are_unwrapped() -> None:
    small = models.Small()
    paths = [call.path for call in check(small, IMAGE).calls]
    for wrapped in (nn.DataParallel(small), torch.compile(small), nn.DataParallel(torch.compile(small))):  # type: ignore[arg-type]
        assert [call.path for call in check(wrapped, IMAGE).calls] == paths  # type: ignore[arg-type]


def test_a_compiled_part() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    model.append(torch.compile(models.WithFunction()))  # type: ignore[arg-type]
    model[0].compile()
    with pytest.raises(ShapeError) as caught:
        check(model, IMAGE)
    assert caught.value.code == "CONV201"
    assert caught.value.module == "2.conv"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: nn.Sequential(m)])
def test_scripted_modules_are_refused(wrap: Any) -> None:
    with pytest.raises(TypeError, match="cannot look into a scripted module"):
        check(wrap(torch.jit.script(nn.Conv2d(3, 4, 3))), IMAGE)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(TypeError, match=r"needs a torch\.nn\.Module, not int"):
        check(3, IMAGE)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="makes a int"):
        check(lambda: 3, IMAGE)  # type: ignore[arg-type,return-value]


def test_a_class_is_made_first() -> None:
    assert check(models.Small, IMAGE).output == (2, 10)


def test_a_model_on_the_meta_device() -> None:
    with torch.device("meta"):
        model = models.Small()
    assert check(model, IMAGE).output == (2, 10)


@pytest.mark.parametrize(
    ("name", "size", "multiply_adds"),
    [
        ("resnet18", 224, 1_814_073_344),
        ("densenet121", 64, None),
        ("mobilenet_v3_small", 64, None),
        ("vit_b_16", 224, None),
    ],
)
def test_torchvision(name: str, size: int, multiply_adds: int | None, torchvision_models: Any) -> None:
    model = torchvision_models.get_model(name, weights=None)
    report = check(model.eval(), (1, 3, size, size))
    assert report.output == (1, 1000)
    assert report.note is None
    assert report.parameters == sum(p.numel() for p in model.parameters())
    assert multiply_adds in (None, report.multiply_adds)
