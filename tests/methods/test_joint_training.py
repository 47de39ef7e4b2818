"""Networks with several outputs: masked losses, weights, ties and rates do what they say; all scenarios learn."""

import numpy as np
import pytest
import torch

from headstart.backbones.freeze import find_cut
from headstart.base.errors import BadOptions
from headstart.methods.finetune import FineTuneClassifier
from headstart.methods.joint_network import JointHead, JointNet, TiedLinear, Weighting, apart
from headstart.methods.joint_objective import JointObjective, block, loss_of
from headstart.methods.multi_output import MultiOutputTransfer
from headstart.methods.network import make_net
from headstart.methods.output import Output, encode
from headstart.methods.training_options import TrainingOptions
from headstart.testing.backbones import tiny_backbone
from headstart.testing.outputs import KINDS, marked_squares

IMAGES, COLUMNS = marked_squares()
OUTPUTS = (
    Output("colour", "classes", ("blue", "red")),
    Output("marks", "labels", ("left", "right")),
    Output("size", "ordinal", ("0", "1", "2", "3")),
    Output("light", "number", (), centre=50.0, scale=30.0),
)
CODED = [encode(output, COLUMNS[output.name]) for output in OUTPUTS]


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


def tuned(backbone, *, scenario="finetune", trainable="last:2", several=None, **options):
    given = {"epochs": 3, "views": 2, "batch_size": 16, "learning_rate": 3e-3, "augment": "none",
             "dtype": "float32", **options}  # fmt: skip
    tuner = FineTuneClassifier(
        backbone=backbone, scenario=scenario, trainable=trainable, cache_gb=1.0, **given
    )
    return MultiOutputTransfer(estimator=tuner, **{"kinds": KINDS, **(several or {})})


def objective(coded=None, options=None, how="fixed", weights=None, **more):
    net = JointNet([], Weighting(OUTPUTS, how, weights or {}, 60))
    given = options or TrainingOptions(label_smoothing=0.0)
    return JointObjective(OUTPUTS, coded or CODED, coded or CODED, given, net, **more)


def drawn(n=60, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, 8)).astype(np.float32))


def test_each_kind_has_the_loss_that_torch_gives():
    rows = np.arange(60)
    learns, scores = objective(), drawn()
    found = learns.losses(scores, learns.labels(rows))
    f = torch.nn.functional
    above = torch.from_numpy(CODED[2])[:, None] > torch.arange(3)
    expected = [
        f.cross_entropy(scores[:, :2], torch.from_numpy(CODED[0])),
        f.binary_cross_entropy_with_logits(scores[:, 2:4], torch.from_numpy(CODED[1])),
        f.binary_cross_entropy_with_logits(scores[:, 4:7], above.float()) * 3,
        f.mse_loss(scores[:, 7], (torch.from_numpy(CODED[3]) - 50) / 30),
    ]
    assert torch.allclose(found, torch.stack(expected), atol=1e-5)
    assert float(learns.loss(scores, learns.labels(rows), rows)) == pytest.approx(
        float(sum(expected)), abs=1e-4
    )
    assert learns.held(scores)[0] == pytest.approx(float(sum(expected)), abs=1e-4)


@pytest.mark.parametrize("at", range(4))
def test_a_missing_label_has_no_gradient_and_the_others_keep_their_mean(at):
    holes = [column.copy() for column in CODED]
    holes[at][::2] = np.nan if holes[at].dtype.kind == "f" else -1
    rows = np.arange(60)
    learns, scores = objective(holes), drawn().requires_grad_()
    losses = learns.losses(scores, learns.labels(rows))
    losses[at].backward()
    assert not scores.grad[::2].any() and scores.grad[1::2].any()
    whole = objective([column[1::2] for column in CODED])
    assert float(losses[at]) == pytest.approx(
        float(whole.losses(scores.detach()[1::2], whole.labels(np.arange(30)))[at]), abs=1e-4
    )


def test_a_batch_without_a_label_costs_nothing_and_is_finite():
    gone = [np.full_like(CODED[0], -1), *CODED[1:]]
    learns = objective(gone)
    losses = learns.losses(drawn(), learns.labels(np.arange(60)))
    assert float(losses[0]) == 0 and torch.isfinite(losses).all()


def test_mixed_labels_give_mixed_losses():
    share, rows = 0.3, np.arange(60)
    learns, scores = objective(), drawn()
    labels = learns.labels(rows)
    other = labels[torch.arange(59, -1, -1)]
    mixed = learns.losses(scores, share * labels + (1 - share) * other)
    apart_ = share * learns.losses(scores, labels) + (1 - share) * learns.losses(scores, other)
    assert torch.allclose(mixed, apart_, atol=1e-4)


@pytest.mark.parametrize("output", OUTPUTS[:3], ids=lambda each: each.kind)
def test_class_weights_let_every_class_count_alike(output):
    draw = np.random.default_rng(0)
    if output.kind == "labels":
        coded = (draw.random((200, 2)) < [0.1, 0.6]).astype(np.float32)
        made = block(output, coded, 0.0, True)
        assert np.allclose(made[:, :2].sum(0), made[:, 2:].sum(0), rtol=1e-4)
        return
    coded = draw.choice(
        len(output.levels), 200, p=[0.9, 0.1] if output.kind == "classes" else [0.7, 0.1, 0.1, 0.1]
    )
    made = block(output, coded, 0.0, True)
    sums = [made[coded == code].sum() for code in range(len(output.levels))]
    assert np.allclose(sums, sums[0], rtol=1e-4)


def test_smoothing_is_for_classes():
    smooth = TrainingOptions(label_smoothing=0.2)
    given = [
        block(output, coded, smooth.label_smoothing, False)
        for output, coded in zip(OUTPUTS, CODED, strict=True)
    ]
    assert given[0].min() == pytest.approx(0.1) and set(np.unique(given[1])) == {0, 1}


def test_learned_uncertainty_ends_where_the_formula_says():
    weighting = Weighting(OUTPUTS, "uncertainty", {}, 60)
    losses = torch.tensor([0.2, 1.0, 3.0, 0.5])
    steps = torch.optim.LBFGS(weighting.parameters(), max_iter=100, tolerance_grad=1e-9)

    def closure():
        steps.zero_grad()
        value = weighting(losses, 1)
        value.backward()
        return value

    steps.step(closure)
    # e^-s L + s/2 is least at s = log 2L, e^-s L/2 + s/2 at s = log L
    assert torch.allclose(torch.exp(weighting.log_variance), torch.tensor([0.4, 2.0, 6.0, 0.5]), atol=1e-2)


def test_dynamic_weights_favour_what_falls_slowly_and_lie_in_the_state():
    weighting = Weighting(OUTPUTS[:2], "dwa", {}, 10)
    for losses in ([1.0, 1.0], [0.5, 1.0]):
        assert torch.allclose(weighting.factors(), torch.ones(2))
        weighting(torch.tensor(losses), 4)
        weighting(torch.tensor(losses), 6)
    ratios = torch.tensor([0.5, 1.0])
    assert torch.allclose(weighting.factors(), 2 * torch.softmax(ratios / 2, 0))
    again = Weighting(OUTPUTS[:2], "dwa", {}, 10)
    again.load_state_dict(weighting.state_dict())
    assert torch.equal(again.factors(), weighting.factors())
    with torch.no_grad():
        weighting(torch.tensor([9.0, 9.0]), 10)
    assert torch.equal(again.factors(), weighting.factors()), "a trial without gradient counts nothing"


def test_thresholds_share_one_weight_vector():
    head = JointHead(5, OUTPUTS)
    assert isinstance(head.heads[2].linear, TiedLinear)
    scores = head(torch.randn(7, 5))
    assert scores.shape == (7, 8)
    between = scores[:, 4:7].diff(dim=1)
    assert torch.allclose(between, between[:1].expand(7, -1), atol=1e-5)


def test_the_distance_of_trunks_is_over_what_trains(backbone):
    cut = find_cut(backbone, "last:1")
    towers = [make_net(backbone, cut, 2, from_cut=False, seed=0) for _ in range(2)]
    net = JointNet(towers)
    assert float(apart(net)) == 0
    with torch.no_grad():
        towers[1].body.net.blocks[2][0].bias += 1.0
        towers[1].body.net.blocks[0][0].bias += 1.0  # frozen
        towers[1].head.linear.bias += 1.0
    assert float(apart(net)) == pytest.approx(len(towers[1].body.net.blocks[2][0].bias) / 2)


@pytest.mark.parametrize("sharing", ["hard", "soft", "separate"])
def test_every_sharing_learns_all_outputs_from_kept_activations(sharing, backbone):
    kept = COLUMNS if sharing == "hard" else {name: COLUMNS[name] for name in ("colour", "light")}
    kinds = {name: kind for name, kind in KINDS.items() if name in kept}
    model = tuned(backbone, several={"sharing": sharing, "kinds": kinds}).fit(IMAGES, kept)
    towers = model.network_.towers
    assert model.record_["path"] == "cache" and len(towers) == (1 if sharing == "hard" else 2)
    scores = {each.output.name: each.score for each in model.models_}
    assert scores["colour"] > 0.9 and scores["light"] > 0.7
    said = model.predict(IMAGES)
    assert said.shape == (60, len(kept)) and (said[:, 0] == COLUMNS["colour"]).mean() > 0.9
    assert not [each for each in model.findings_ if each.kind == "frozen moved"]
    assert len({id(tower.body.net.blocks[0]) for tower in towers}) == 1, "the frozen part is held once"
    assert len({id(tower.body.net.blocks[2]) for tower in towers}) == len(towers)


@pytest.mark.parametrize("scenario", ["full", "scratch"])
def test_whole_networks_and_random_ones_train(scenario, backbone):
    several = {"weighting": "uncertainty", "kinds": {"light": "number"}}
    model = tuned(backbone, scenario=scenario, epochs=4, several=several)
    model.fit(IMAGES, {name: COLUMNS[name] for name in ("colour", "light")})
    assert model.record_["curve"][-1]["loss"] < model.record_["curve"][0]["loss"]
    assert set(model.record_["loss_weights"]) == {"colour", "light"}
    assert any(value != 1.0 for value in model.record_["loss_weights"].values())


def test_a_strong_tie_keeps_trunks_together_and_a_weak_one_does_not(backbone):
    far = []
    for tie in (0.0, 1000.0):
        several = {"sharing": "soft", "tie": tie, "kinds": {"light": "number"}}
        model = tuned(backbone, several=several, learning_rate=1e-2, keep="last", ema=0.0)
        model.fit(IMAGES, {name: COLUMNS[name] for name in ("colour", "light")})
        first, second = (tower.body.net.blocks[2][0].weight for tower in model.network_.towers)
        far.append(float((first - second).detach().square().sum()))
    assert far[1] < 0.1 * far[0]


def test_training_starts_from_the_heads_of_the_features_scenario(backbone):
    model = tuned(backbone, epochs=1, learning_rate=1e-8, ema=0.0)
    model.fit(
        IMAGES[:40],
        {k: v[:40] for k, v in COLUMNS.items()},
        validation=(IMAGES[40:], {k: v[40:] for k, v in COLUMNS.items()}),
    )
    assert model.record_["start"] == "head-first"
    assert model.selection_ == pytest.approx(model.start_selection_, abs=0.02)


def test_a_head_has_its_own_rate(backbone):
    def moved(rates):
        model = tuned(
            backbone, start="plain", trainable="head", keep="last", ema=0.0, several={"head_rates": rates}
        )
        model.fit(IMAGES, dict(COLUMNS))
        return [head.linear.weight.detach().clone() for head in model.network_.towers[0].head.heads]

    still = moved({"colour": 0.0})
    first = JointHead(64, OUTPUTS)
    torch.manual_seed(1)
    first = JointHead(64, OUTPUTS)
    assert torch.allclose(still[0], first.heads[0].linear.weight, atol=1e-6)
    assert not torch.allclose(still[1], first.heads[1].linear.weight, atol=1e-4)


def test_fixed_weights_of_zero_leave_an_output_as_it_started(backbone):
    model = tuned(backbone, trainable="head", start="plain", keep="last", ema=0.0, weight_decay=0.0,
                  several={"output_weights": {"size": 0}})  # fmt: skip
    model.fit(IMAGES, dict(COLUMNS))
    torch.manual_seed(1)
    first = JointHead(64, OUTPUTS)
    weights = [head.linear.weight for head in model.network_.towers[0].head.heads]
    assert torch.allclose(weights[2], first.heads[2].linear.weight, atol=1e-6)
    assert not torch.allclose(weights[0], first.heads[0].linear.weight, atol=1e-4)


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(backbone, monkeypatch):
    from headstart.methods.loop import Loop

    some = {name: COLUMNS[name] for name in ("colour", "light")}

    def fit():
        several = {"weighting": "dwa", "kinds": {"light": "number"}}
        return tuned(backbone, epochs=4, checkpoint_minutes=0.0, several=several).fit(IMAGES, some)

    real, done = Loop._close_epoch, []

    def close(self, epoch, seconds, stop_after):
        real(self, epoch, seconds)
        done.append(epoch)
        if len(done) == stop_after:
            self.whole = True  # the epoch is closed
            raise KeyboardInterrupt

    whole = fit()
    monkeypatch.setattr(Loop, "_close_epoch", lambda *given: close(*given, 3))
    with pytest.raises(KeyboardInterrupt):
        fit()
    done.clear()
    monkeypatch.setattr(Loop, "_close_epoch", lambda *given: close(*given, 99))
    again = fit()
    assert done == [3], "the epochs before were not trained again"
    for one, other in zip(again.predict_proba(IMAGES), whole.predict_proba(IMAGES), strict=True):
        assert np.allclose(one, other, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"several": {"sharing": "separate", "weighting": "dwa"}}, "separate networks have none"),
        ({"balance": "sampling"}, "sampling is for one output"),
        ({"several": {"output_weights": {"colr": 2}}}, "did you mean 'colour'"),
        ({"several": {"head_rates": {"colour": -1}}}, "at least 0"),
        ({"several": {"class_weights": ("light",)}}, "is a number and has no classes"),
    ],
)
def test_what_cannot_be_trained_is_refused(options, said, backbone):
    with pytest.raises(BadOptions, match=said):
        tuned(backbone, **options).fit(IMAGES, dict(COLUMNS))


def test_labels_missing_in_places_train_their_output_on_the_rest(backbone):
    holes = {**COLUMNS, "marks": [None if row % 3 else cell for row, cell in enumerate(COLUMNS["marks"])]}
    model = tuned(backbone).fit(IMAGES, holes)
    n = {each.output.name: each.n_train + each.n_validation for each in model.models_}
    assert n == {"colour": 60, "marks": 20, "size": 60, "light": 60}


def test_loss_of_a_number_is_the_squared_error_in_deviations():
    light = OUTPUTS[3]
    made = torch.from_numpy(block(light, np.array([80.0, np.nan], np.float32), 0.0, False))
    assert loss_of(light, torch.tensor([[0.0], [5.0]]), made).tolist() == pytest.approx([1.0, 0.0])
