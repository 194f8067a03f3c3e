"""Models by name and by file: published weights are recognized, anything doubtful is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vdenoise.cli import status
from vdenoise.errors import DeviceError, UsageError, VerifyError
from vdenoise.nets import build
from vdenoise.nets.base import example
from vdenoise.nets.dncnn import DnCnn, FDnCnn
from vdenoise.nets.drunet import DruNet
from vdenoise.nets.fastdvdnet import FastDvdNet
from vdenoise.nets.ffdnet import FfdNet
from vdenoise.nets.models import Model, check, find, load

CPU = torch.device("cpu")
State = dict[str, Tensor]


def convolutions(depth: int, given: int, width: int, answered: int) -> State:
    """Keys and shapes of KAIR's DnCNN and FFDNet: model.0, model.2, model.4 ..."""
    ends = [given, *[width] * (depth - 1), answered]
    state = {}
    for n in range(depth):
        state[f"model.{2 * n}.weight"] = 0.02 * torch.randn(ends[n + 1], ends[n], 3, 3)
        state[f"model.{2 * n}.bias"] = 0.02 * torch.randn(ends[n + 1])
    return state


def drunet(given: int, widths: tuple[int, ...], answered: int, blocks: int = 4) -> State:
    """Keys and shapes of KAIR's UNetRes."""
    state = {"m_head.weight": torch.randn(widths[0], given, 3, 3)}
    for n in range(3):
        a, b = widths[n], widths[n + 1]
        for block in range(blocks):
            for conv in (0, 2):
                state[f"m_down{n + 1}.{block}.res.{conv}.weight"] = torch.randn(a, a, 3, 3)
                state[f"m_up{n + 1}.{block + 1}.res.{conv}.weight"] = torch.randn(a, a, 3, 3)
        state[f"m_down{n + 1}.{blocks}.weight"] = torch.randn(b, a, 2, 2)
        state[f"m_up{n + 1}.0.weight"] = torch.randn(b, a, 2, 2)
    for block in range(blocks):
        for conv in (0, 2):
            state[f"m_body.{block}.res.{conv}.weight"] = torch.randn(widths[3], widths[3], 3, 3)
    state["m_tail.weight"] = torch.randn(answered, widths[0], 3, 3)
    return {key: 0.02 * value for key, value in state.items()}


def fastdvdnet() -> State:
    """Keys and shapes of m-tassano/fastdvdnet, saved from DataParallel as its model.pth is."""
    state: State = {}

    def conv(name: str, out: int, given: int) -> None:
        state[f"{name}.weight"] = 0.02 * torch.randn(out, given, 3, 3)

    def norm(name: str, width: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            state[f"{name}.{part}"] = torch.rand(width) + 0.5
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def pair(name: str, width: int) -> None:
        for n in (0, 3):
            conv(f"{name}.{n}", width, width)
            norm(f"{name}.{n + 1}", width)

    for block in ("module.temp1", "module.temp2"):
        conv(f"{block}.inc.convblock.0", 90, 4)
        norm(f"{block}.inc.convblock.1", 90)
        conv(f"{block}.inc.convblock.3", 32, 90)
        norm(f"{block}.inc.convblock.4", 32)
        for name, given, out in (("downc0", 32, 64), ("downc1", 64, 128)):
            conv(f"{block}.{name}.convblock.0", out, given)
            norm(f"{block}.{name}.convblock.1", out)
            pair(f"{block}.{name}.convblock.3.convblock", out)
        for name, given, out in (("upc2", 128, 64), ("upc1", 64, 32)):
            pair(f"{block}.{name}.convblock.0.convblock", given)
            conv(f"{block}.{name}.convblock.1", 4 * out, given)
        conv(f"{block}.outc.convblock.0", 32, 32)
        norm(f"{block}.outc.convblock.1", 32)
        conv(f"{block}.outc.convblock.3", 3, 32)
    return state


PUBLISHED: dict[str, tuple[State, str, type[nn.Module]]] = {
    "dncnn_25.pth": (convolutions(17, 1, 64, 1), "dncnn", DnCnn),
    "dncnn_color_blind.pth": (convolutions(20, 3, 64, 3), "dncnn", DnCnn),
    "fdncnn_gray.pth": (convolutions(20, 2, 64, 1), "fdncnn", FDnCnn),
    "fdncnn_color.pth": (convolutions(20, 4, 64, 3), "fdncnn", FDnCnn),
    "ffdnet_gray.pth": (convolutions(15, 5, 64, 4), "ffdnet", FfdNet),
    "ffdnet_color.pth": (convolutions(12, 13, 96, 12), "ffdnet", FfdNet),
    "drunet_color.pth": (drunet(4, (64, 32, 16, 8), 3), "drunet", DruNet),
    "drunet_gray.pth": (drunet(2, (64, 32, 16, 8), 1), "drunet", DruNet),
    "model.pth": (fastdvdnet(), "fastdvdnet", FastDvdNet),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_weights_are_recognized_by_their_names_and_shapes(
    name: str, tmp_path: Path
) -> None:
    state, architecture, kind = PUBLISHED[name]
    torch.save(state, tmp_path / name)
    model = find(str(tmp_path / name))
    assert model.architecture == architecture
    net = load(str(tmp_path / name), CPU, torch.float32)
    assert isinstance(net, kind) and not net.training
    loaded = net.state_dict()
    assert all(value.equal(loaded[key.removeprefix("module.")]) for key, value in state.items())
    assert net(example(net)).isfinite().all()


@pytest.mark.parametrize("wrapper", ["state_dict", "params", "model"])
def test_weights_are_taken_out_of_checkpoints(wrapper: str, tmp_path: Path) -> None:
    held = {wrapper: convolutions(12, 13, 96, 12), "epoch": 3, "optimizer": {"lr": 0.1}}
    torch.save(held, tmp_path / "checkpoint.pth")
    assert find(str(tmp_path / "checkpoint.pth")).architecture == "ffdnet"


def test_an_ircnn_is_not_taken_for_a_dncnn(tmp_path: Path) -> None:
    """Its dilations are not in the file."""
    torch.save(convolutions(7, 3, 64, 3), tmp_path / "ircnn.pth")
    with pytest.raises(UsageError, match="IRCNN"):
        find(str(tmp_path / "ircnn.pth"))


def test_other_weights_are_refused(tmp_path: Path) -> None:
    torch.save({"conv.weight": torch.zeros(3, 3, 3, 3)}, tmp_path / "other.pth")
    with pytest.raises(UsageError, match="fit none that is known"):
        find(str(tmp_path / "other.pth"))
    torch.save(convolutions(20, 3, 64, 3) | {"extra.weight": torch.zeros(1)}, tmp_path / "more.pth")
    with pytest.raises(UsageError, match="fit none"):
        find(str(tmp_path / "more.pth"))


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    torch.save({"model.0.weight": Trap(tmp_path / "sprung")}, tmp_path / "trap.pth")
    with pytest.raises(DeviceError, match="holds more than weights"):
        find(str(tmp_path / "trap.pth"))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04broken"])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_broken_files_are_refused(content: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"broken.{suffix}"
    path.write_bytes(content)
    with pytest.raises(DeviceError, match="not a readable weights file"):
        find(str(path))


def test_a_table_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2, 3], tmp_path / "list.pth")
    with pytest.raises(DeviceError, match="no table of weights"):
        find(str(tmp_path / "list.pth"))


def test_names_that_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no model"):
        find("XL")
    with pytest.raises(DeviceError, match="not there"):
        find(str(tmp_path / "absent.pth"))


def weights_file(folder: Path, architecture: str = "guided-s", label: bool = True) -> Path:
    path = folder / "net.safetensors"
    metadata = {"architecture": architecture} if label else None
    save_file(build(architecture).state_dict(), path, metadata=metadata)
    return path


def test_safetensors_without_a_label_are_recognized(tmp_path: Path) -> None:
    assert find(str(weights_file(tmp_path, "shift", label=False))).architecture == "shift"


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file(build("guided-s").state_dict(), path, metadata={"architecture": "guided-m"})
    with pytest.raises(DeviceError, match="does not fit the architecture guided-m"):
        load(str(path), CPU, torch.float32)
    save_file(build("guided-s").state_dict(), path, metadata={"architecture": "guided-x"})
    with pytest.raises(UsageError, match="guided-x"):
        find(str(path)).network()


def test_a_model_is_checked_against_its_card(tmp_path: Path) -> None:
    path = weights_file(tmp_path)
    model = find(str(path))
    assert model.card == {}
    check(model)
    card = {"licence": "Apache-2.0", "sha256": model.sha256}
    path.with_suffix(".json").write_text(json.dumps(card))
    check(model)
    path.with_suffix(".json").write_text(json.dumps(card | {"sha256": "0" * 64}))
    with pytest.raises(VerifyError, match="not the file its card describes"):
        check(model)


def test_weights_that_are_not_numbers_are_found(tmp_path: Path) -> None:
    state = build("guided-s").state_dict()
    state["tail.bias"][0] = float("nan")
    save_file(state, tmp_path / "net.safetensors", metadata={"architecture": "guided-s"})
    with pytest.raises(DeviceError, match="no finite numbers"):
        check(find(str(tmp_path / "net.safetensors")))


def test_the_command_lists_shows_and_checks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = weights_file(tmp_path, "ffdnet")
    card = {"licence": "MIT", "data": [{"name": "clips", "license": "CC0"}], "seed": 4}
    path.with_suffix(".json").write_text(json.dumps(card))
    assert status(["models", "list", "--json"]) == 0
    assert "drunet" in json.loads(capsys.readouterr().out)["architectures"]
    assert status(["models", "list"]) == 0
    assert "ffdnet" in capsys.readouterr().out
    assert status(["models", "show", str(path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["halo"] == 25 and shown["license"] == "MIT" and shown["card"] == card
    assert shown["sha256"] == Model("", path, "").sha256
    assert status(["models", "show", str(path)]) == 0
    assert "name clips, license CC0" in capsys.readouterr().out
    assert status(["models", "check", str(path)]) == 0
    assert "fits ffdnet, computes" in capsys.readouterr().out
    assert status(["models", "check", str(tmp_path / "no.pth")]) == 5


def test_ffdnet_computes_what_its_paper_says() -> None:
    """Against the steps written out: 2x2 pixels to channels, a plane of sigma, the answer is the
    picture. White noise of R'G'B' is told as it is."""
    from vdenoise.nets.base import NetInput
    from vdenoise.picture.color import from_rgb

    net = FfdNet(width=8, depth=3).eval()
    rgb = torch.rand(1, 3, 160, 160)
    sigma = from_rgb(torch.randn(1, 3, 1000, 1000)).std((-2, -1), keepdim=True) * 0.1
    ycc = from_rgb(rgb)
    full = torch.ones_like(ycc)
    with torch.no_grad():
        got = ycc + net(NetInput(ycc, ycc, sigma * full, full, torch.ones(1, 8)))
        planes = rgb.view(1, 3, 80, 2, 80, 2).permute(0, 1, 3, 5, 2, 4).reshape(1, 12, 80, 80)
        out = net.model(torch.cat([planes, torch.full((1, 1, 80, 80), 0.1)], 1))
        out = out.view(1, 3, 2, 2, 80, 80).permute(0, 1, 4, 2, 5, 3).reshape(1, 3, 160, 160)
    assert torch.allclose(got, from_rgb(out), atol=2e-4)


def test_fastdvdnet_computes_what_its_paper_says() -> None:
    """Three blocks on frames 0-2, 1-3 and 2-4, one on what they answer."""
    from vdenoise.nets.base import NetInput
    from vdenoise.picture.color import from_rgb

    net = FastDvdNet((4, 4, 4), 2).eval()
    frames = torch.rand(1, 5, 3, 8, 8)
    ycc, level = from_rgb(frames), torch.full((1, 1, 8, 8), 0.2)
    full = torch.ones(1, 3, 8, 8)
    sigma = torch.tensor([0.2, 0, 0])[None, :, None, None] * full  # a gray picture's
    x = NetInput(ycc[:, 2], ycc[:, 2], sigma, full, torch.ones(1, 8), ycc[:, [0, 1, 3, 4]])
    with torch.no_grad():
        f = frames.unbind(1)
        first = [net.temp1(f[n], f[n + 1], f[n + 2], level) for n in range(3)]
        expected = net.temp2(*first, level)
        got = ycc[:, 2] + net(x)
    assert torch.allclose(got, from_rgb(expected), atol=1e-5)
