"""Each trick does what its paper says, on networks small enough to see it; none is switched off in silence."""

import copy
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from headstart.backbones.residual import drop_paths, residual_paths, set_gammas
from headstart.base.errors import BackboneError, BadOptions, UsageError
from headstart.images.erase import erased
from headstart.methods.averages import Average, take_statistics
from headstart.methods.batches import PLAIN_EPOCH, Batch
from headstart.methods.distil import Distilled, ask, softened
from headstart.methods.finetune import FineTuneClassifier
from headstart.methods.growing import GrowingBatches, sizes
from headstart.methods.network import LinearHead, TransferNet
from headstart.methods.objective import Classes, class_weights, focal_loss
from headstart.methods.optimise import make_groups, make_optimiser
from headstart.methods.sharpness import climbed
from headstart.methods.soup import greedy, mean_of
from headstart.methods.training_options import NEWER, TrainingOptions, told
from headstart.methods.tricks.needs import unfit
from headstart.methods.tricks.registry import TRICKS, bag, clashes, idle, options_with, owned
from headstart.testing.backbones import tiny_backbone, tiny_network, tiny_weights


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    from headstart.backbones.load import load

    return load(tiny_weights(tmp_path_factory.mktemp("weights")))


@pytest.fixture(scope="module")
def pictures():
    draw = np.random.default_rng(0)
    images = draw.integers(0, 120, (24, 64, 64, 3)).astype(np.uint8)
    images[12:] += 80
    return images, np.array(["dark"] * 12 + ["light"] * 12)


def trained(pictures, **options):
    given = {
        "backbone": tiny_backbone(side=64), "trainable": "last:1", "epochs": 3, "views": 1, "batch_size": 8,
        "learning_rate": 1e-3, "dtype": "float32", "augment": "none",
    }  # fmt: skip
    return FineTuneClassifier(**{**given, **options}).fit(*pictures)


# ---- the registry ----------------------------------------------------------------------------------------


def test_each_trick_changes_something_that_the_bare_training_has_not():
    base = {name: field.default for name, field in TrainingOptions.__dataclass_fields__.items()}
    base["teacher"] = "lite1"
    bare = options_with((), base, 224)
    for name in TRICKS:
        on = options_with((name,), base, 224)
        assert on != bare, name
        changed = {option for option in on if on[option] != bare[option]}
        assert changed <= set(TRICKS[name].on), name
        TrainingOptions(**on)
    assert bare["schedule"] == "constant" and bare["ema"] == 0 and bare["decayed"] == "all"
    assert options_with(("fixres",), base, 224)["train_size"] == 192
    assert (
        options_with((), base, 224)["train_size"] == 224 and options_with((), base, 0)["train_size"] is None
    )
    assert options_with(("linear_scaling",), base, 224)["batch_size"] == 128
    assert options_with(("one_cycle",), base, 224)["warmup"] == 0.15


@given(st.sets(st.sampled_from(list(TRICKS))))
def test_a_bag_holds_no_two_tricks_that_exclude_one_another_and_lacks_only_those(names):
    kept = bag(names)
    assert set(kept) <= names and not clashes(kept)
    assert all(clashes([*kept, other]) for other in names - set(kept))


def test_exclusions_are_mutual_and_owned_options_exist():
    assert all(a in TRICKS[b].excludes for a in TRICKS for b in TRICKS[a].excludes)
    assert owned() <= set(TrainingOptions.__dataclass_fields__)


def test_ids_of_runs_hold_new_options_only_where_they_are_used():
    plain = told(TrainingOptions().__dict__)
    assert not set(plain) & set(NEWER) and told({"sam": 0.05, "swa": 0.0}) == {"sam": 0.05}


def test_what_a_network_cannot_have_is_named(resnet):
    assert "pretrained" in unfit(["zero_gamma"], "finetune", "lite0", "last:1")["zero_gamma"]
    assert (
        "no residual path" in unfit(["stochastic_depth"], "finetune", "lite0", "last:1")["stochastic_depth"]
    )
    assert unfit(["stochastic_depth"], "finetune", "lite0", "last:2") == {}
    assert "no pretrained" in unfit(["l2_sp"], "scratch", "lite0", "all")["l2_sp"]
    assert "no cut" in unfit(["manifold_mixup"], "full", "lite0", "all")["manifold_mixup"]
    assert unfit(["fixres", "mixup"], "finetune", "lite0", "last:1") == {}
    of_body = unfit(["l2_sp", "layer_decay", "dropout"], "finetune", "lite0", "head")
    assert set(of_body) == {"l2_sp", "layer_decay"} and "the head alone trains" in of_body["l2_sp"]


def test_tricks_that_leave_training_as_it_is_are_named():
    base = {name: field.default for name, field in TrainingOptions.__dataclass_fields__.items()}
    base |= {"teacher": "lite1", "augment": "rand_augment"}
    said = "it changes nothing here: training without it has"
    assert idle(["rand_augment", "ema"], base, 224) == {"rand_augment": f"{said} augment rand_augment too"}
    assert idle(["fixres"], base, 64) == {"fixres": f"{said} train_size 64 too"}, (
        "6/7 of 64 pixels round to 64"
    )
    assert idle(TRICKS, {**base, "augment": "medium"}, 224) == {}


# ---- sharpness-aware minimisation -------------------------------------------------------------------------


def test_sharpness_aware_steps_take_the_gradient_further_along_and_leave_statistics_alone():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    inputs, radius = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)), 0.5
    net(inputs).square().mean().backward()
    start = [each.detach().clone() for each in net.parameters()]
    grads = [each.grad.clone() for each in net.parameters()]
    length = torch.sqrt(sum(grad.square().sum() for grad in grads))
    statistics = net[1].running_mean.clone()
    with climbed(net, list(net.parameters()), radius):
        way = torch.sqrt(
            sum((now - old).square().sum() for now, old in zip(net.parameters(), start, strict=True))
        )
        assert way.item() == pytest.approx(radius, rel=1e-4)
        for now, old, grad in zip(net.parameters(), start, grads, strict=True):
            assert torch.allclose(now, old + radius * grad / length, atol=1e-6)
        net(inputs)
    assert torch.equal(net[1].running_mean, statistics)
    assert all(torch.equal(now, old) for now, old in zip(net.parameters(), start, strict=True))
    net(inputs)
    assert not torch.equal(net[1].running_mean, statistics), "afterwards they move again"


# ---- averages ----------------------------------------------------------------------------------------------


def test_the_even_average_is_the_mean_of_the_last_epochs_and_goes_on_from_a_checkpoint():
    ends = [{"w": torch.full((2,), float(value))} for value in (9, 1, 3, 8)]
    average = Average(0.0, 0.75, 4, ends[0])
    taken = [average.after_epoch(end, epoch) for epoch, end in enumerate(ends[:3])]
    again = Average(0.0, 0.75, 4, ends[0])
    again.go_on(average.state())
    again.after_epoch(ends[3], 3)
    assert taken == [False, True, True]
    assert torch.allclose(again.weights["w"], torch.full((2,), 4.0))


def test_statistics_of_averaged_weights_are_those_of_the_training_images():
    net = nn.Sequential(nn.BatchNorm1d(2, momentum=0.1)).train()
    inputs = torch.randn(40, 2, generator=torch.Generator().manual_seed(1)) * 3 + 5
    take_statistics(net, iter(inputs.split(10)))
    expected = torch.stack([part.mean(0) for part in inputs.split(10)]).mean(0)
    assert torch.allclose(net[0].running_mean, expected, atol=1e-5) and net[0].momentum == 0.1


# ---- losses -------------------------------------------------------------------------------------------------


def test_the_focal_loss_is_cross_entropy_at_zero_and_counts_sure_answers_less():
    scores = torch.tensor([[4.0, 0.0], [0.1, 0.0]])
    labels = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    plain = nn.functional.cross_entropy(scores, torch.tensor([0, 0]), reduction="none")
    assert torch.allclose(focal_loss(scores, labels, 0.0), plain)
    share = focal_loss(scores, labels, 2.0) / plain
    sure = scores.softmax(1)[:, 0]
    assert torch.allclose(share, (1 - sure) ** 2) and share[0] < share[1]


def test_class_weights_by_the_effective_number_lie_between_none_and_inverse_counts():
    codes = np.array([0] * 5 + [1] * 5000)
    effective, inverse = class_weights(codes, 2, "effective"), class_weights(codes, 2, "weights")
    assert float(effective.sum()) == pytest.approx(2.0)
    expected = (1 - 0.999**5000) / (1 - 0.999**5)
    assert float(effective[0] / effective[1]) == pytest.approx(expected, rel=1e-4)
    assert 1 < effective[0] / effective[1] < inverse[0] / inverse[1]
    assert class_weights(codes, 2, "none") is None


@given(st.integers(2, 5), st.floats(1.0, 20.0), st.integers(0, 1000))
def test_softening_keeps_the_order_and_flattens(k, temperature, seed):
    given_ = np.random.default_rng(seed).dirichlet(np.ones(k), 3).astype(np.float32)
    soft = softened(given_, temperature)
    assert np.allclose(soft.sum(1), 1, atol=1e-5) and (soft.argmax(1) == given_.argmax(1)).all()
    assert (soft.max(1) <= given_.max(1) + 1e-5).all()


def test_a_student_is_pulled_to_its_teacher_where_labels_and_teacher_differ():
    options = TrainingOptions(label_smoothing=0.0, distill=0.5, distill_temperature=2.0)
    answers = np.array([[0.2, 0.8], [0.2, 0.8]], np.float32)
    objective = Distilled(answers, np.array([0, 0]), None, 2, options)
    plain = Classes(np.array([0, 0]), None, 2, options)
    rows, scores = np.array([0, 1]), torch.zeros(2, 2, requires_grad=True)
    labels = objective.labels(rows)
    assert labels.shape == (2, 4)
    soft = -(labels[:, 2:] * (scores / 2).log_softmax(1)).sum(1).mean()
    expected = 0.5 * plain.loss(scores, plain.labels(rows), rows) + 0.5 * 4 * soft
    assert float(objective.loss(scores, labels, rows)) == pytest.approx(float(expected), rel=1e-5)
    sharp = torch.tensor([[3.0, 0.0]] * 2, requires_grad=True)
    objective.loss(sharp, labels, rows).backward()
    assert sharp.grad[0, 0] > 0, "the teacher holds back what the labels alone would raise"


def test_a_teacher_with_other_classes_is_refused():
    class Knows:
        classes_ = np.array(["cat", "dog"])

        def predict_proba(self, items):
            return np.tile([0.25, 0.75], (len(items), 1))

    with pytest.raises(UsageError, match="lacks 'fox' and has 'dog'"):
        ask(Knows(), [1, 2], ["cat", "fox"])
    assert ask(Knows(), [1, 2], ["dog", "cat"]).answers[0].tolist() == [0.75, 0.25]


# ---- soups -----------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=6), st.floats(-2, 2))
def test_a_greedy_soup_is_never_worse_than_its_best_ingredient(values, best_at):
    trained_ = [{"w": torch.tensor([value])} for value in values]

    def judge(weights):
        gap = abs(float(weights["w"]) - best_at)
        return gap, -round(gap, 3)

    soup, found = greedy(trained_, judge)
    assert found.accuracy >= max(found.accuracies) and judge(soup)[1] == found.accuracy
    assert torch.allclose(soup["w"], mean_of([trained_[at] for at in found.kept])["w"])


def test_what_all_ingredients_have_alike_is_the_same_to_the_last_bit():
    alike = torch.tensor([0.1, 1 / 3, 7e-8, -12345.678])
    found = mean_of([{"frozen": alike, "w": torch.tensor([value])} for value in (1.0, 2.0, 6.0)])
    assert torch.equal(found["frozen"], alike) and found["frozen"].dtype == alike.dtype
    assert found["w"].item() == 3.0


# ---- paths -----------------------------------------------------------------------------------------------


def test_dropped_paths_leave_evaluation_alone_and_change_training(resnet):
    net = copy.deepcopy(resnet.module).eval()
    set_gammas(net, residual_paths(net), 1.0)
    inputs = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = net(inputs)
        names = [name for name, _ in net.named_parameters()]
        assert drop_paths(net, resnet.module, names, 0.9) == len(residual_paths(resnet.module)) > 1
        assert torch.equal(net(inputs), before)
        for part in net.modules():
            part.training = "DropPath" in type(part).__name__
        outs = [net(inputs) for _ in range(4)]
    assert any(not torch.equal(a, b) for a, b in itertools.pairwise(outs))


def test_paths_are_dropped_more_the_later_they_stand(resnet):
    net = copy.deepcopy(resnet.module)
    drop_paths(net, resnet.module, [name for name, _ in net.named_parameters()], 0.4)
    chances = [part.drop_prob for part in net.modules() if "DropPath" in type(part).__name__]
    assert chances == sorted(chances) and chances[-1] == pytest.approx(0.4) and chances[0] > 0


def test_silenced_paths_make_each_block_its_shortcut(resnet):
    net = copy.deepcopy(resnet.module).eval()
    paths = residual_paths(net)
    assert set_gammas(net, paths, 0.0) == len({path.norm for path in paths}) > 0
    kept = next(
        path.block for path in paths if getattr(net.get_submodule(path.block), "downsample", None) is None
    )
    block = net.get_submodule(kept)
    width = next(part for part in block.modules() if isinstance(part, nn.Conv2d)).in_channels
    maps = torch.rand(2, width, 8, 8)
    with torch.no_grad():
        assert torch.allclose(block(maps), maps, atol=1e-6)


def test_networks_without_paths_are_refused():
    net = tiny_network()
    names = [name for name, _ in net.named_parameters()]
    with pytest.raises(BackboneError, match="no residual path"):
        drop_paths(net, net, names, 0.2)
    with pytest.raises(BackboneError, match="BatchNorm"):
        set_gammas(net, residual_paths(net), 0.0)


# ---- images ----------------------------------------------------------------------------------------------


@given(st.integers(0, 500), st.integers(16, 80), st.integers(16, 80))
def test_an_erased_rectangle_covers_a_share_as_the_paper_has_it(seed, height, width):
    view = np.full((height, width, 3), 256 // 2, np.uint8)
    out = erased(view, np.random.default_rng(seed))
    share = (out != view).any(2).mean()
    assert (view == 128).all() and out.shape == view.shape
    assert 0 < share <= 0.5
    assert np.array_equal(out, erased(view, np.random.default_rng(seed)))


def test_small_images_come_first_and_the_last_size_serves_all_that_is_not_training():
    class Source:
        n = 6

        def __init__(self, side):
            self.side = side

        def get(self, rows, epoch):
            return Batch(torch.zeros(len(rows), 3, self.side, self.side))

    growing = GrowingBatches([Source(32), Source(64), Source(96)], 6)
    sides = [
        growing.get(np.arange(2), epoch).inputs.shape[-1] for epoch in (0, 1, 2, 3, 4, 5, 9, PLAIN_EPOCH)
    ]
    assert sides == [32, 32, 64, 64, 96, 96, 96, 96]
    assert sizes(224, 0.5) == (128, 160) and sizes(64, 0.9) == ()


# ---- the optimiser, the head, the answers ---------------------------------------------------------------------


@pytest.mark.parametrize(("decayed", "expected"), [("weights", 0.0), ("all", 0.01)])
def test_biases_and_norms_decay_where_asked_alone(decayed, expected):
    class Body(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = tiny_network()

    options = TrainingOptions(decayed=decayed)
    groups = make_groups(TransferNet(Body(), nn.Linear(64, 3)), [], options, pretrained=True)
    optimiser = make_optimiser(groups, options, 1.0)
    decay = {id(each): part["weight_decay"] for part in optimiser.param_groups for each in part["params"]}
    assert decay[id(groups.tensors["head.bias"])] == expected
    assert decay[id(groups.tensors["head.weight"])] == 0.01


def test_dropout_is_of_training_alone():
    head = LinearHead(50, 2, dropout=0.5)
    features = torch.randn(4, 50, generator=torch.Generator().manual_seed(0))
    head.eval()
    assert torch.equal(head(features), head(features))
    head.train()
    torch.manual_seed(0)
    assert not torch.equal(head(features), head(features))


# ---- whole trainings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"sam": 0.05, "dropout": 0.2, "focal": 2.0},
        {"swa": 0.7, "ema": 0.0, "scenario": "full", "batchnorm": "update"},
        {"soup": 2, "balance": "effective"},
        {"erase": 0.5, "rate_batch": 4, "decayed": "all"},
        {"test_views": "mirror", "progressive": 0.5},
    ],
    ids=lambda options: "-".join(options),
)
def test_every_new_option_trains(options, pictures):
    method = trained(pictures, **options)
    assert np.isfinite([line["loss"] for line in method.record_["curve"]]).all()
    assert method.score(*pictures) > 0.7
    if "soup" in options:
        soup = method.record_["soup"]
        assert len(soup["accuracies"]) == 2 and method.selection_ == soup["accuracy"] >= max(
            soup["accuracies"]
        )
    if "rate_batch" in options:
        assert method.record_["learning_rate"] == pytest.approx(2e-3)
    if "progressive" in options:
        assert method.record_["sizes"] == [32, 64] and method.network_.mirror


def test_contradictions_are_told_together(pictures):
    with pytest.raises(BadOptions, match=r"(?s)ema and swa.*zero_gamma"):
        trained(pictures, swa=0.5, zero_gamma="on")
    with pytest.raises(BadOptions, match=r"stochastic_depth: tiny0, last:1: it has no residual path"):
        trained(pictures, stochastic_depth=0.2)


def test_a_student_learns_from_a_fitted_teacher_and_says_from_whom(pictures):
    teacher = trained(pictures)
    student = trained(pictures, teacher=teacher)
    assert student.record_["teacher"]["name"] == "FineTuneClassifier" and student.score(*pictures) > 0.7
