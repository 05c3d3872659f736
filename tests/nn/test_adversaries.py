"""Adversarial regularizers: both sides learn, in opposite directions, from one loss and one optimizer."""

import pytest
import torch
from torch.nn import functional

from skdim import DeepInfoMaxEmbedder
from skdim._training.batches import make_batch
from skdim.nn.adversaries import CompositionAdversary, PriorAdversary
from tests.helpers.small_estimators import SMALL
from tests.helpers.small_networks import generator, make_model, toy_batch


@pytest.fixture
def batch():
    return toy_batch([[3, 8], [11, 17, 8], [12]], [[1, 2], [1, 1, 3], [4]]).to(torch.float64)


ADVERSARIES = ("local_prior", "crystal_prior", "composition")


def slope(model, batch, parameters, direction, part, step=1e-6):
    """Derivative of a loss along a direction of some parameters, by central differences."""
    values = []
    for factor in (step, -2 * step, step):
        with torch.no_grad():
            values.append(float(model(batch, generator())[part]))
            for p, d in zip(parameters, direction, strict=True):
                p.add_(d, alpha=factor)
    return (values[1] - values[2]) / (2 * step)


@pytest.mark.parametrize("part", ["prior", "composition"])
def test_gradients_are_those_of_a_game(part, batch):
    """The adversary descends its loss, the encoder ascends it; compared with finite differences."""
    settings = {"prior_weight": 0.0, "composition_weight": 0.0, f"{part}_weight": 1.5}
    model = make_model("infonce", torch.float64, kl_weight=0.0, **settings)
    of_adversary = [p for name, p in model.named_parameters() if name.split(".")[0] in ADVERSARIES]
    # The crystal's vector passes no gradients to local vectors.
    local = {id(p) for module in model.encoder.local_modules() for p in module.parameters()}
    of_encoder = [p for name, p in model.named_parameters() if name.startswith("encoder.") and id(p) not in local]
    for parameters, sign in ((of_adversary, 1), (of_encoder, -1)):
        gradients = torch.autograd.grad(model(batch, generator())[part], parameters, allow_unused=True)
        direction = [torch.randn(p.shape, dtype=p.dtype, generator=generator(k)) for k, p in enumerate(parameters)]
        along = sum(float((g * d).sum()) for g, d in zip(gradients, direction, strict=True) if g is not None)
        assert abs(along) > 1e-6
        assert along == pytest.approx(sign * slope(model, batch, parameters, direction, part), rel=1e-4)


@pytest.mark.parametrize("part", ["prior", "composition"])
def test_total_loss_is_what_the_encoder_minimizes(part, batch):
    model = make_model("infonce", torch.float64, kl_weight=0.0, **{f"{part}_weight": 1.5})
    losses = model(batch, generator())
    torch.testing.assert_close(losses["loss"], losses["local"] + losses["global"] - 1.5 * losses[part])
    parameters = [p for name, p in model.named_parameters() if name.split(".")[0] in ADVERSARIES]
    of_total = torch.autograd.grad(losses["loss"], parameters, retain_graph=True)
    of_part = torch.autograd.grad(losses[part], parameters)
    for total, alone in zip(of_total, of_part, strict=True):
        torch.testing.assert_close(total, 1.5 * alone)


def test_values_of_the_losses(batch):
    torch.manual_seed(0)
    prior, composition = PriorAdversary(5).double(), CompositionAdversary(5).double()
    g, samples = torch.randn(3, 5, dtype=torch.float64), torch.rand(3, 5, dtype=torch.float64)
    probability = torch.sigmoid(prior.logit(torch.cat([g, samples])))[:, 0]
    torch.testing.assert_close(prior(g, samples), -torch.log(1 - probability[:3]) - torch.log(probability[3:]))
    # Li O2; Na Cl O3; Mg4.
    fractions = torch.zeros(3, 104, dtype=torch.float64)
    fractions[0, [3, 8]] = torch.tensor([1, 2], dtype=torch.float64) / 3
    fractions[1, [11, 17, 8]] = torch.tensor([1, 1, 3], dtype=torch.float64) / 5
    fractions[2, 12] = 1
    expected = functional.cross_entropy(composition.logits(g), fractions, reduction="none")
    torch.testing.assert_close(composition(batch, g), expected)


def test_without_weight_there_are_no_adversaries(batch):
    names = set(make_model().state_dict())
    assert not {name for name in names if name.split(".")[0] in ADVERSARIES}
    assert not {"prior", "composition"} & make_model(dtype=torch.float64)(batch, generator()).keys()


def test_a_prior_alone_makes_vectors_uniform():
    """Free vectors, trained with the discriminator by one loss, take the distribution of the samples."""
    torch.manual_seed(0)
    prior, vectors = PriorAdversary(1), torch.nn.Parameter(3 + 2 * torch.randn(256, 1))
    optimizer = torch.optim.Adam([{"params": [vectors], "lr": 3e-2}, {"params": prior.parameters(), "lr": 1e-2}])
    for _ in range(600):
        optimizer.zero_grad()
        prior(vectors, torch.rand(256, 1)).mean().backward()
        optimizer.step()
    assert abs(float(vectors.detach().mean()) - 0.5) < 0.3
    assert float(vectors.detach().std()) < 0.8


def test_embedder_trains_them_in_the_same_net(X):
    embedder = DeepInfoMaxEmbedder(**SMALL, max_epochs=2, prior_weight=0.1, composition_weight=0.1).fit(X)
    for name in ("prior", "composition"):
        assert all(value > 0 for value in embedder.history_[:, f"train_{name}"])
    start = DeepInfoMaxEmbedder(**SMALL, max_epochs=0, prior_weight=0.1, composition_weight=0.1).fit(X)
    before, after = (e.net_.module_.state_dict() for e in (start, embedder))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name for name in before if name.split(".")[0] in ADVERSARIES} <= changed
    without = DeepInfoMaxEmbedder(**SMALL, max_epochs=2).fit(X)
    assert (without.transform(X) != embedder.transform(X)).any()


def test_composition_adversary_hides_the_composition(crystals):
    """A new decoder reads less of the composition from vectors that were trained against one."""

    def decoder_loss(weight):
        torch.manual_seed(0)
        embedder = DeepInfoMaxEmbedder(
            composition_weight=weight,
            descriptor_weight=0.0,
            representation="global",
            max_epochs=25,
            batch_sites=150,
            learning_rate="constant",
            random_state=0,
            device="cpu",
        ).fit(crystals)
        g = torch.from_numpy(embedder.transform(crystals))
        g = (g - g.mean(dim=0)) / g.std(dim=0).clamp(min=1e-6)
        batch, decoder = make_batch(crystals), CompositionAdversary(g.shape[1])
        optimizer = torch.optim.Adam(decoder.parameters(), lr=1e-2)
        for _ in range(40):
            optimizer.zero_grad()
            loss = decoder(batch, g).mean()
            loss.backward()
            optimizer.step()
        return loss.item()

    assert decoder_loss(3.0) > decoder_loss(0.0)
