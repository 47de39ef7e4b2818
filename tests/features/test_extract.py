"""Extraction: any layer, any engine, once; bad images are named; fallbacks are said."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from headstart.backbones.card import Preprocessing
from headstart.backbones.load import from_module, load
from headstart.base import runtime
from headstart.base.errors import BadOptions, DataError, EngineError, UnknownName
from headstart.base.events import collected_warnings
from headstart.base.optional import installed
from headstart.base.runtime import has_int8
from headstart.features.calibration import calibration_rows, sample_rows
from headstart.features.engines import export, exports
from headstart.features.engines import prepare as preparing
from headstart.features.engines.exports import clear_exports, compare, export_folder
from headstart.features.engines.lower import lower, round_bfloat16
from headstart.features.engines.onnx_engine import OnnxRunner
from headstart.features.engines.prepare import settle
from headstart.features.engines.torch_engine import TorchRunner
from headstart.features.extract import Tap, extract
from headstart.features.store import FeatureStore
from headstart.features.taps import Place
from headstart.testing.backbones import tiny_backbone, tiny_network

EVERYWHERE = (
    Tap("stem"),
    Tap("stage1", "max"),
    Tap("stage2", "avg+std"),
    Tap("stage3", "gem"),
    Tap("pool"),
    Tap("stage3", "flat"),
)


@pytest.fixture
def images():
    draw = np.random.default_rng(0)
    return list(draw.integers(0, 256, (40, 32, 32, 3), dtype=np.uint8))


def names(images):
    return [f"digest{row}" for row in range(len(images))]


@pytest.fixture
def store(tmp_path):
    return FeatureStore(tmp_path / "features")


@pytest.mark.parametrize("engine", ["torch", "onnxruntime", "openvino"])
def test_every_engine_gives_what_the_network_gives(images, store, engine):
    if engine == "openvino" and not installed("openvino"):
        pytest.skip("openvino is not installed (extra turbo)")
    backbone = tiny_backbone()
    found = extract(images, names(images), backbone=backbone, taps=EVERYWHERE, engine=engine, store=store)
    assert (found.engine["engine"], found.ok.all(), found.n_computed) == (engine, True, 40)
    shape = backbone.card.preprocessing
    batch = (
        torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255 - torch.tensor(shape.mean).view(3, 1, 1)
    ) / torch.tensor(shape.std).view(3, 1, 1)
    with torch.no_grad():
        stem = backbone.module.stem(batch)
        last = backbone.module.blocks(stem)
    assert np.allclose(found.features[Tap("stem")], stem.mean((2, 3)), atol=1e-4)
    assert np.allclose(found.features[Tap("pool")], last.mean((2, 3)), atol=1e-4)
    assert np.allclose(found.features[Tap("stage3", "flat")], last.flatten(1), atol=1e-4)
    if engine != "torch":
        assert found.engine["parity"]["least_cosine"] > 0.9999


def test_ten_new_images_cost_ten_forward_passes(images, store, monkeypatch):
    backbone = tiny_backbone()
    extract(images[:30], names(images)[:30], backbone=backbone, store=store, engine="torch")
    run, seen = TorchRunner.run, []
    monkeypatch.setattr(
        TorchRunner, "run", lambda self, pixels: seen.append(len(pixels)) or run(self, pixels)
    )
    again = extract(images, names(images), backbone=backbone, store=store, engine="torch")
    assert sum(seen) == 10 and (again.n_cached, again.n_computed) == (30, 10)
    third = extract(images[::-1], names(images)[::-1], backbone=backbone, store=store, engine="torch")
    assert sum(seen) == 10
    assert np.array_equal(third.features[Tap("pool")][::-1], again.features[Tap("pool")])


def test_the_same_image_twice_is_run_once(images, store):
    found = extract(images[:2] * 3, ["a", "b"] * 3, backbone=tiny_backbone(), store=store, engine="torch")
    assert found.n_computed == 2
    assert np.array_equal(found.features[Tap("pool")][0], found.features[Tap("pool")][4])


def test_bad_images_are_named_and_the_rest_is_served(images, store, tmp_path):
    (tmp_path / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    items = [images[0], tmp_path / "cut.jpg", images[1]]
    found = extract(
        items,
        ["a", "b", "c"],
        paths=["x", "cut.jpg", "y"],
        backbone=tiny_backbone(),
        store=store,
        engine="torch",
    )
    assert found.ok.tolist() == [True, False, True]
    assert [problem.path for problem in found.problems] == ["cut.jpg"]
    assert not found.features[Tap("pool")][1].any() and found.features[Tap("pool")][2].any()


def test_a_cap_of_nothing_keeps_nothing(images):
    found = extract(images[:3], names(images)[:3], backbone=tiny_backbone(7), cache_gb=0, engine="torch")
    again = extract(images[:3], names(images)[:3], backbone=tiny_backbone(7), cache_gb=0, engine="torch")
    assert found.n_computed == again.n_computed == 3


def test_features_larger_than_the_cap_are_not_kept_aloud(images, store):
    small = FeatureStore(store.folder, cap_bytes=1000)
    with collected_warnings() as warnings:
        extract(images, names(images), backbone=tiny_backbone(), store=small, engine="torch")
    assert "more than --cache-gb allows" in warnings[0] and small.total_bytes() == 0


def test_a_full_disk_does_not_end_the_run(images, store, monkeypatch):
    import sqlite3

    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(FeatureStore, "write", full)
    with collected_warnings() as warnings:
        found = extract(images, names(images), backbone=tiny_backbone(), store=store, engine="torch")
    assert found.ok.all() and "disk is full" in warnings[0]


@pytest.mark.skipif(
    not has_int8(),
    reason="int8 overflows on x86 processors without VNNI, so float32 serves",
)
def test_int8_is_calibrated_on_the_users_images_and_named_after_them(store):
    from sklearn.datasets import load_sample_images

    pictures = load_sample_images().images
    crops = [
        p[y : y + 240, x : x + 240] for p in pictures for y in range(0, 180, 30) for x in range(0, 400, 45)
    ]
    digests = [f"crop{row}" for row in range(len(crops))]
    found = extract(crops[:80], digests[:80], precision="int8", input_size=96, store=store)
    full = extract(crops[:80], digests[:80], precision="float32", input_size=96, store=store)
    assert found.engine["precision"] == "int8" and found.engine["parity"]["mean_cosine"] >= 0.985
    assert found.engine["parity"]["neighbours"] is not None
    assert not np.array_equal(found.features[Tap("pool")], full.features[Tap("pool")])
    more = extract(crops, digests, precision="int8", input_size=96, store=store)
    assert more.calibration.id == found.calibration.id and more.n_computed == len(crops) - 80
    others = extract(
        crops[80:], digests[80:], precision="int8", input_size=96, store=store, calibration=found.calibration
    )
    assert others.n_computed == 0 and np.array_equal(
        others.features[Tap("pool")], more.features[Tap("pool")][80:]
    )


@pytest.mark.skipif(
    not (installed("openvino") and preparing.has_bfloat16()),
    reason="needs openvino and a processor with bfloat16",
)
def test_bfloat16_rows_never_serve_as_float32(images, store):
    from sklearn.datasets import load_sample_images

    crops = [
        p[y : y + 128, x : x + 128]
        for p in load_sample_images().images
        for y in range(0, 290, 40)
        for x in range(0, 500, 90)
    ]
    digests = [f"bf{row}" for row in range(len(crops))]
    low = extract(crops, digests, precision="bfloat16", input_size=96, store=store)
    full = extract(crops, digests, precision="float32", input_size=96, store=store)
    assert full.n_computed == len(crops)
    if low.engine["precision"] == "bfloat16":
        assert low.engine["parity"]["least_cosine"] >= 0.999
        assert not np.array_equal(low.features[Tap("pool")], full.features[Tap("pool")])


class Unexportable(nn.Module):
    """A network whose forward pass depends on values, as no exporter can express."""

    def __init__(self):
        super().__init__()
        self.net = tiny_network()

    def forward(self, images):
        scale = 2.0 if float(images.sum()) > 0 else 1.0
        return self.net(images) * scale


def test_where_export_fails_torch_serves_aloud_and_the_failure_is_remembered(images, store):
    backbone = from_module(Unexportable(), Preprocessing(32, 32, crop=1.0), "odd")
    with collected_warnings() as warnings:
        found = extract(
            images,
            names(images),
            backbone=backbone,
            taps=[Tap("net.pool")],
            engine="onnxruntime",
            store=store,
        )
    assert found.engine["engine"] == "torch" and found.ok.all()
    assert "could not be exported" in warnings[0] and "torch serves instead" in warnings[0]
    with collected_warnings() as warnings:
        again = extract(
            images,
            names(images),
            backbone=backbone,
            taps=[Tap("net.pool")],
            engine="onnxruntime",
            store=store,
        )
    assert again.n_computed == 0 and warnings


def test_an_engine_that_misses_its_bound_is_replaced_aloud(images, store, monkeypatch):
    run = OnnxRunner.run
    noise = np.random.default_rng(1)
    monkeypatch.setattr(
        OnnxRunner,
        "run",
        lambda self, pixels: [each + noise.normal(size=each.shape) for each in run(self, pixels)],
    )
    with collected_warnings() as warnings:
        found = extract(images, names(images), backbone=tiny_backbone(3), engine="onnxruntime", store=store)
    assert found.engine["engine"] == "torch" and "differs from torch" in warnings[0]


def test_what_other_packages_could_not_export_is_tried_again(images, store, monkeypatch):
    def extracted():
        return extract(images, names(images), backbone=backbone, engine="onnxruntime", store=store)

    backbone = tiny_backbone(31)
    with monkeypatch.context() as broken, collected_warnings() as warnings:
        broken.setattr(export, "export_onnx", fails)
        assert extracted().engine["engine"] == "torch" and "an older torch" in warnings[0]
    store.clear()
    assert extracted().engine["engine"] == "torch"  # remembered
    monkeypatch.setattr(exports, "packages", lambda: {"torch": "next"})
    store.clear()
    assert extracted().engine["engine"] == "onnxruntime"


def fails(*_):
    raise EngineError("an older torch could not export it")


def test_torch_in_bfloat16_is_checked_against_float32_and_replaced_aloud(images, store, monkeypatch):
    monkeypatch.setattr(preparing, "has_bfloat16", lambda: True)
    wish = {"engine": "torch", "precision": "bfloat16", "store": store}
    served = extract(images, names(images), backbone=tiny_backbone(32), **wish).engine
    assert served["precision"] == "bfloat16" and served["parity"]["least_cosine"] >= 0.999
    run, noise = TorchRunner.run, np.random.default_rng(1)
    monkeypatch.setattr(
        TorchRunner,
        "run",
        lambda self, pixels: [
            each + (noise.normal(size=each.shape) if self._half else 0) for each in run(self, pixels)
        ],
    )
    with collected_warnings() as warnings:
        served = extract(images, names(images), backbone=tiny_backbone(33), **wish).engine
    assert served["precision"] == "float32" and "torch in bfloat16 on cpu differs" in warnings[0]


def test_a_gpu_counts_where_torch_can_use_it(monkeypatch, tmp_path):
    monkeypatch.setattr(runtime.sys, "platform", "linux")
    monkeypatch.setattr(runtime, "NVIDIA", tmp_path / "nvidiactl")
    (tmp_path / "torch").mkdir()
    spec = SimpleNamespace(origin=str(tmp_path / "torch" / "__init__.py"))
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: spec)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    build = tmp_path / "torch" / "version.py"
    build.write_text("cuda: Optional[str] = '13.0'\n")
    assert not runtime.has_gpu()
    (tmp_path / "nvidiactl").touch()
    assert runtime.has_gpu() and settle("auto", "float32").engine == "torch"
    build.write_text("cuda: Optional[str] = None\n")
    assert not runtime.has_gpu()
    build.write_text("cuda: Optional[str] = '13.0'\n")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert not runtime.has_gpu() and settle("auto", "float32").engine == "onnxruntime"


def test_wishes_are_settled_by_name():
    assert settle("auto", "int8").engine == "onnxruntime"
    assert settle("torch", "float32").engine == "torch"
    for engine, precision in (("onnxruntime", "bfloat16"), ("torch", "int8")):
        with pytest.raises(BadOptions):
            settle(engine, precision)
    with pytest.raises(UnknownName):
        settle("onnx", "float32")
    with pytest.raises(UnknownName):
        settle("auto", "int4")


def test_wrong_calls_are_refused(images):
    with pytest.raises(DataError, match="40 images with 1 digests"):
        extract(images, ["a"], backbone=tiny_backbone())
    with pytest.raises(UnknownName, match="stage"):
        extract(images, names(images), backbone=tiny_backbone(), taps=[Tap("stagee1")])
    with pytest.raises(BadOptions, match="needs positions"):
        extract(images, names(images), backbone=tiny_backbone(), taps=[Tap("pool", "avg+std")])
    with pytest.raises(UnknownName):
        extract(images, names(images), backbone=tiny_backbone(), taps=[Tap("pool", "mean")])


def test_a_graph_holds_nothing_beyond_the_deepest_tap(images, store):
    import onnx

    backbone = tiny_backbone(11)
    extract(images, names(images), backbone=backbone, taps=[Tap("stage1")], engine="onnxruntime", store=store)
    graph = onnx.load(export_folder(backbone.card, [Place("blocks.0", "avg")]).graph).graph
    assert sum(node.op_type == "Conv" for node in graph.node) == 2
    assert not any("classifier" in tensor.name or "blocks.1" in tensor.name for tensor in graph.initializer)


def test_a_part_of_a_kept_export_needs_no_torch_and_says_the_same(images, store):
    backbone = tiny_backbone(31)
    taps = (Tap("stage1"), Tap("stage2"), Tap("pool"))
    whole = extract(images, names(images), backbone=backbone, taps=taps, engine="onnxruntime", store=store)
    fresh = FeatureStore(store.folder / "fresh")
    part = extract(
        images, names(images), backbone=backbone, taps=taps[1:2], engine="onnxruntime", store=fresh
    )
    assert part.engine["export_seconds"] == 0 and part.engine["parity"] == whole.engine["parity"]
    assert np.allclose(part.features[taps[1]], whole.features[taps[1]], atol=1e-6)
    import onnx

    graph = onnx.load(export_folder(backbone.card, [Place("blocks.1", "avg")]).graph).graph
    assert sum(node.op_type == "Conv" for node in graph.node) == 3


def test_samples_are_chosen_by_content():
    digests = [f"d{row}" for row in range(300)]
    chosen = {digests[row] for row in sample_rows(digests, 50)}
    assert chosen == {digests[::-1][row] for row in sample_rows(digests[::-1], 50)} and len(chosen) == 50
    made = tiny_backbone(5).card
    name, rows = calibration_rows(made, digests)
    assert len(rows) == 128 and calibration_rows(made, [*digests, "new"])[0] == name
    assert calibration_rows(made, digests[:200])[0] != name


def test_bfloat16_rounding_is_to_nearest_even():
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    assert np.array_equal(round_bfloat16(values), torch.from_numpy(values).bfloat16().float().numpy())


def test_lowering_keeps_the_function_but_for_rounding(tmp_path, images):
    from headstart.features.engines.export import export_onnx

    backbone = tiny_backbone(2)
    whole = tmp_path / "whole.onnx"
    export_onnx(backbone, [Place("pool", "avg")], whole)
    pixels = np.stack(images)
    first, rest = tmp_path / "first.onnx", tmp_path / "rest.onnx"
    assert lower(whole, first, rest, pixels, 2)
    middle = OnnxRunner(first).run(pixels)[0]
    import onnxruntime

    session = onnxruntime.InferenceSession(rest.read_bytes(), providers=["CPUExecutionProvider"])
    out = session.run(None, {session.get_inputs()[0].name: middle})
    parity = compare(OnnxRunner(whole).run(pixels), out)
    assert 0.999 < parity.least_cosine < 1.0 - 1e-9
    assert not lower(whole, first, rest, pixels, 99)


def test_an_unreadable_graph_is_an_engine_error(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"not a graph")
    with pytest.raises(EngineError, match="cannot load"):
        OnnxRunner(tmp_path / "bad.onnx")


def test_exports_can_be_cleared(images, store):
    extract(images, names(images), backbone=tiny_backbone(21), engine="onnxruntime", store=store)
    folder = export_folder(tiny_backbone(21).card, [Place("flatten", "avg")]).folder
    assert folder.parent.exists() and clear_exports() > 0 and not folder.exists()


def test_lite0_on_photos_says_what_they_show(store):
    from sklearn.datasets import load_sample_images

    from headstart.features.selftest import self_test_items

    china, flower = load_sample_images().images
    items = [china[:400, 120:520], flower[:400, 100:500]]
    truth = np.array([698, 985])
    found = self_test_items(items, truth, "lite0", digests=["china", "flower"], engine="torch")
    assert found.n == 2 and found.top5 >= 0.5 and found.confidence > 0.2
    logits = extract(items, ["china", "flower"], taps=[Tap("logits")], store=store, engine="torch").features[
        Tap("logits")
    ]
    assert logits.shape == (2, 1000) and load("lite0").card.classes == 1000
