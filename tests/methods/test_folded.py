"""A convolution and the fixed BatchNorm after it in one step: the same outputs and gradients, fewer passes."""

import pytest
import torch
from torch import nn

from headstart.methods.depthwise import in_bfloat16
from headstart.methods.folded import foldable, folded


class Net(nn.Module):
    """A plain, a depthwise (5 x 5, stride 2) and a pointwise convolution, each with its BatchNorm."""

    def __init__(self, channels=8):
        super().__init__()
        self.plain = nn.Conv2d(3, channels, 3, padding=1)
        self.depthwise = nn.Conv2d(channels, channels, 5, 2, 2, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, 2 * channels, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(n) for n in (channels, channels, 2 * channels)])
        for norm in self.norms:
            nn.init.normal_(norm.weight, 1, 0.3)
            nn.init.normal_(norm.bias)
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.3, 3)

    def forward(self, x):
        for convolution, norm in zip((self.plain, self.depthwise, self.pointwise), self.norms, strict=True):
            x = torch.relu(norm(convolution(x)))
        return x.mean((2, 3))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().train().apply(lambda part: part.eval() if isinstance(part, nn.BatchNorm2d) else part)


@pytest.fixture
def images():
    return torch.randn(6, 3, 12, 12, generator=torch.Generator().manual_seed(1)).to(
        memory_format=torch.channels_last
    )


def learned(net, images, pairs, bfloat16=False):
    net.zero_grad(set_to_none=True)
    given = images.clone().requires_grad_(True)
    with in_bfloat16("cpu", bfloat16), folded(pairs):
        out = net(given)
    out.float().square().sum().backward()
    return [out.detach().float(), given.grad, *(each.grad for each in net.parameters())]


def apart(found, wanted):
    return max(float((a - b).norm() / b.norm()) for a, b in zip(found, wanted, strict=True))


def test_outputs_and_all_gradients_are_those_of_the_two_apart(net, images):
    pairs = foldable(net, images[:1])
    assert [pairs[each.weight] for each in (net.plain, net.depthwise, net.pointwise)] == list(net.norms)
    assert apart(learned(net, images, pairs), learned(net, images, None)) < 1e-5


def test_in_bfloat16_they_are_as_near_to_float32_as_the_two_apart(net, images):
    wanted = learned(net, images, None)
    found = learned(net, images, foldable(net, images[:1]), bfloat16=True)
    assert apart(found, wanted) < 1.3 * apart(learned(net, images, None, bfloat16=True), wanted) < 0.1


def test_a_factor_of_zero_and_one_that_is_frozen(net, images):
    with torch.no_grad():
        net.norms[1].weight[2] = 0
    net.norms[0].weight.requires_grad_(False)
    net.pointwise.weight.requires_grad_(False)
    pairs = foldable(net, images[:1])
    found, wanted = learned(net, images, pairs), learned(net, images, None)
    assert [each is None for each in found] == [each is None for each in wanted]
    known = [(a, b) for a, b in zip(found, wanted, strict=True) if b is not None]
    assert apart(*zip(*known, strict=True)) < 1e-5


def test_one_that_normalises_by_the_batch_is_left_alone(net, images):
    pairs = foldable(net, images[:1])
    net.norms[1].train()
    before = net.norms[1].running_mean.clone()
    found = learned(net, images, pairs)
    assert not torch.equal(net.norms[1].running_mean, before)
    net.norms[1].running_mean.copy_(before)
    assert apart(found, learned(net, images, None)) < 1e-5


def test_looking_for_pairs_changes_nothing(net, images):
    net.norms[0].train()
    state = {name: each.clone() for name, each in net.state_dict().items()}
    modes = [part.training for part in net.modules()]
    chance = torch.get_rng_state()
    foldable(net, images[:1])
    assert modes == [part.training for part in net.modules()]
    assert torch.equal(chance, torch.get_rng_state())
    assert all(torch.equal(state[name], each) for name, each in net.state_dict().items())


class Twice(Net):
    """The first output goes elsewhere too, and the pointwise convolution runs twice."""

    def forward(self, x):
        first = self.plain(x)
        x = torch.relu(self.norms[0](first)) + first
        x = torch.relu(self.norms[1](self.depthwise(x)))
        return (self.norms[2](self.pointwise(x)) + self.norms[2](self.pointwise(-x))).mean((2, 3))


def test_what_others_take_too_or_what_runs_twice_is_left_alone(images):
    torch.manual_seed(0)
    net = Twice().eval()
    pairs = foldable(net, images[:1])
    assert list(pairs.values()) == [net.norms[1]]
    assert apart(learned(net, images, pairs), learned(net, images, None)) < 1e-5
