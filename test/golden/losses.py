"""Losses: python losses.py > losses.json

Keras 3 on JAX in float64: value and gradient of the prediction over random entries, with masks, sample weights and reductions. PyTorch in float64:
connectionist temporal classification and the Gaussian likelihood. SciPy: Student's t.
"""
import json
import os

os.environ["KERAS_BACKEND"] = "jax"
import jax

jax.config.update("jax_enable_x64", True)
import keras
import numpy as np
import scipy.stats
import torch
from keras.src.backend.common import dtypes

dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"  # Keras narrows to float32 on JAX, whatever floatx says
keras.config.set_floatx("float64")
rng = np.random.default_rng(11)


def short(x, digits=11):
    """Numbers to eleven digits, so that the file stays small."""
    if isinstance(x, (list, tuple)):
        return [short(v, digits) for v in x]
    return float(f"{float(x):.{digits - 1}e}")


def exact(x):
    """Numbers that the file holds as they are."""
    return np.round(np.asarray(x, dtype=float), 3)


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


cases = []


def case(class_name, config, y, p, mask=None, weight=None):
    loss = getattr(keras.losses, class_name)(**config)

    def value(prediction):
        prediction = keras.ops.convert_to_tensor(prediction)
        if mask is not None:
            keras.src.backend.set_keras_mask(prediction, keras.ops.convert_to_tensor(np.array(mask), dtype="bool"))
        return loss(y, prediction, sample_weight=weight)

    total, gradient = jax.value_and_grad(value)(jax.numpy.asarray(p))
    cases.append({
        "title": f"{class_name} {json.dumps(config)}{' masked' if mask else ''}{'' if weight is None else f' weighted {list(weight.shape)}'}",
        "loss": {"class_name": class_name, "config": {**config, "name": "own", "dtype": {"class_name": "DTypePolicy", "config": {"name": "float32"}}}},
        "y": np.asarray(y).tolist(), "p": np.asarray(p).tolist(), "mask": mask, "weight": None if weight is None else weight.tolist(),
        "value": short(total), "gradient": short(np.asarray(gradient).tolist()),
    })


B, T, C = 4, 3, 4
MASK = [[1, 1, 0], [0, 1, 1], [0, 0, 0], [1, 0, 1]]
WEIGHT = exact(rng.random((B, T)))
REDUCTIONS = ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight"]


def all_ways(class_name, config, y, p, axis_last=True):
    """Plain with weights per sample, and masked with weights per step; reductions in turn."""
    first = REDUCTIONS[len(cases) % 4]
    case(class_name, {**config, "reduction": first}, y[:, 0], p[:, 0], weight=exact(rng.random(B)))
    if axis_last:
        case(class_name, {**config, "reduction": REDUCTIONS[(len(cases) // 2) % 4]}, y, p, MASK, WEIGHT)
        case(class_name, config, y, p, MASK)


scores = exact(rng.standard_normal((B, T, C)) * 2)
shares = exact(softmax(scores) * 0.9 + 0.01)
chances = exact(sigmoid(scores))
labels = rng.integers(0, C, (B, T))
one_hot = np.eye(C)[labels]
truths = rng.integers(0, 2, (B, T, C)).astype(float)
values = exact(rng.standard_normal((B, T, C)))
amounts = exact(rng.random((B, T, C)) * 3 + 0.05)

for logits in [False, True]:
    options = {"from_logits": logits}
    binary, classes = (scores, scores) if logits else (chances, shares)
    all_ways("BinaryCrossentropy", {**options, "label_smoothing": 0.2}, truths, binary)
    all_ways("BinaryFocalCrossentropy", options, truths, binary)
    all_ways("BinaryFocalCrossentropy", {**options, "apply_class_balancing": True, "alpha": 0.4, "gamma": 1.5, "label_smoothing": 0.1}, truths, binary)
    all_ways("CategoricalCrossentropy", {**options, "label_smoothing": 0.1}, one_hot, classes)
    all_ways("CategoricalFocalCrossentropy", options, one_hot, classes)
    all_ways("CategoricalFocalCrossentropy", {**options, "alpha": [0.1, 0.2, 0.3, 0.4], "gamma": 3.0, "label_smoothing": 0.1}, one_hot, classes)
    all_ways("SparseCategoricalCrossentropy", options, labels, classes)
    for ignored in [2, -1]:
        kept = np.where(rng.random((B, T)) < 0.4, ignored, labels)
        all_ways("SparseCategoricalCrossentropy", {**options, "ignore_class": ignored}, kept, classes)
    moved = np.moveaxis(classes, -1, 1)
    case("CategoricalCrossentropy", {**options, "axis": 1}, np.moveaxis(one_hot, -1, 1), moved, weight=WEIGHT)
    case("CategoricalFocalCrossentropy", {**options, "axis": 1}, np.moveaxis(one_hot, -1, 1), moved)
    case("BinaryCrossentropy", {**options, "axis": 1}, truths, binary)
    case("BinaryFocalCrossentropy", {**options, "axis": 1}, truths, binary)

all_ways("CategoricalGeneralizedCrossEntropy", {"q": 0.7}, labels, shares)
all_ways("Hinge", {}, truths, values)
case("Hinge", {}, truths * 2 - 1, values)
case("Hinge", {}, values[:, ::-1], values)
all_ways("SquaredHinge", {}, truths, values)
all_ways("CategoricalHinge", {}, one_hot, values)
all_ways("KLDivergence", {}, exact(softmax(values)), shares)
all_ways("MeanSquaredError", {}, values[::-1], values)
all_ways("MeanAbsoluteError", {}, values[::-1], values)
all_ways("MeanAbsolutePercentageError", {}, values[::-1], values)
all_ways("MeanSquaredLogarithmicError", {}, values[::-1], values)
all_ways("LogCosh", {}, values[::-1] * 5, values)
all_ways("Huber", {}, values[::-1] * 2, values)
all_ways("Huber", {"delta": 0.3}, values[::-1], values)
all_ways("Poisson", {}, amounts[::-1], amounts)
all_ways("CosineSimilarity", {}, values[::-1], values)
case("CosineSimilarity", {"axis": 1}, values[::-1], values)
for name, config in [("Dice", {}), ("Tversky", {}), ("Tversky", {"alpha": 0.2, "beta": 0.9})]:
    case(name, config, truths, chances)
    case(name, config, truths, chances, weight=exact(rng.random(B)))
    case(name, {**config, "axis": [1, 2]}, truths, chances, weight=exact(rng.random(B)))
    case(name, {**config, "axis": [-1]}, truths, chances, MASK, WEIGHT)
units = values[:, 0] / np.linalg.norm(values[:, 0], axis=-1, keepdims=True)
units = np.concatenate([units, -units[:2, ::-1]])
for config in [{}, {"gamma": 5.0, "margin": 0.2}, {"gamma": 3.0, "remove_diagonal": False}]:
    case("Circle", config, np.array([3, 1, 3, 1, 7, 1]), units)
    case("Circle", config, np.array([3, 1, 3, 1, 7, 1]), units, weight=exact(rng.random(6)))
# A blank between labels counts as a label, in place of the last entry.
case("CTC", {}, np.array([[1, 2, 1, 0], [1, 2, 0, 2], [3, 3, 0, 0]]), exact(rng.standard_normal((3, 7, 4))))
case("CTC", {"reduction": "sum"}, np.array([[1, 2], [3, 0]]), exact(rng.standard_normal((2, 4, 4))), weight=exact(rng.random(2)))

# ---- connectionist temporal classification
ctc = []


def ctc_case(title, T, N, C, blank, lengths, labels, zero_infinity=False):
    """Labels are padded by -1. @param lengths steps of each row"""
    B = len(labels)
    x = exact(rng.standard_normal((B, T, C)) * 1.5)
    leaf = torch.tensor(x, requires_grad=True)
    counts = [len(row) for row in labels]
    padded = [row + [-1] * (N - len(row)) for row in labels]
    targets = torch.tensor([[v if v >= 0 else blank for v in row] for row in padded])
    loss = torch.nn.functional.ctc_loss(
        torch.log_softmax(leaf, -1).transpose(0, 1), targets, torch.tensor(lengths), torch.tensor(counts), blank=blank, reduction="none",
        zero_infinity=zero_infinity,
    )
    finite = torch.isfinite(loss)
    torch.where(finite, loss, 0.0).sum().backward()
    # Where the loss is infinite, PyTorch's gradient is not defined.
    gradient = torch.where(finite[:, None, None], leaf.grad, 0.0)
    ctc.append({
        "title": title, "blank": blank, "zeroInfinity": zero_infinity, "lengths": lengths, "labels": padded, "x": x.tolist(),
        "values": [short(v) if np.isfinite(v) else None for v in loss.detach().numpy()], "gradient": short(gradient.numpy().tolist()),
    })


ctc_case("one label", 3, 1, 3, 0, [3, 3], [[1], [2]])
ctc_case("repeated labels", 7, 3, 4, 0, [7, 7, 7], [[1, 1, 2], [2, 2, 2], [3, 1, 3]])
ctc_case("lengths and an inner blank", 6, 4, 5, 2, [6, 4, 5, 1], [[0, 1, 3, 4], [0, 0], [4], [3]])
ctc_case("the last class is the blank", 5, 3, 4, 3, [5, 5, 3], [[0, 1, 2], [1, 1], [0]])
ctc_case("no labels", 4, 2, 3, 0, [4, 2, 1], [[], [1], []])
ctc_case("more labels than steps", 3, 4, 4, 0, [3, 3, 2, 3], [[1, 2, 3, 1], [1, 1], [1, 1], [1, 2, 3]])
ctc_case("more labels than steps, as zero", 3, 4, 4, 0, [3, 3, 2, 3], [[1, 2, 3, 1], [1, 1], [1, 1], [1, 2, 3]], True)
for k in range(4):
    steps, n, c = int(rng.integers(4, 12)), int(rng.integers(1, 6)), int(rng.integers(2, 7))
    blank = int(rng.integers(0, c))
    rows = [[int(v) for v in rng.choice([i for i in range(c) if i != blank], int(rng.integers(0, n + 1)))] for _ in range(5)]
    ctc_case(f"random {k}", steps, n, c, blank, [int(v) for v in rng.integers(1, steps + 1, 5)], rows)

# ---- likelihoods
likelihoods = []


def likelihood(factory, options, y, p, density):
    """@param density (targets, parts of the prediction) to -log of the density of every entry"""
    leaf = torch.tensor(p, requires_grad=True)
    value = density(torch.tensor(y), leaf)
    value.mean().backward()
    likelihoods.append({
        "factory": factory, "options": options, "y": y.tolist(), "p": p.tolist(), "value": short(value.mean().item()), "gradient": short(leaf.grad.tolist()),
    })


y = exact(rng.standard_normal((B, 2)) * 2)
p = exact(rng.standard_normal((B, 6)))
softplus = torch.nn.functional.softplus
nll = torch.nn.functional.gaussian_nll_loss
for full in [False, True]:
    likelihood("gaussianLikelihood", {"spread": "variance", "transform": "linear", "full": full}, y, np.concatenate([p[:, :2], np.abs(p[:, 2:4])], 1),
               lambda t, x: nll(x[:, :2], t, x[:, 2:], full=full, reduction="none"))
    likelihood("gaussianLikelihood", {"full": full}, y, p[:, :4], lambda t, x: nll(x[:, :2], t, softplus(x[:, 2:]) ** 2, full=full, reduction="none"))
    likelihood("gaussianLikelihood", {"spread": "variance", "transform": "exp", "full": full}, y, p[:, :4],
               lambda t, x: nll(x[:, :2], t, x[:, 2:].exp(), full=full, reduction="none"))
likelihood("gaussianLikelihood", {"spread": "variance", "transform": "linear", "epsilon": 0.5, "full": False}, y, np.concatenate([p[:, :2], np.abs(p[:, 2:4])], 1),
           lambda t, x: nll(x[:, :2], t, x[:, 2:], eps=0.5, reduction="none"))


def student(t, location, scale, n):
    z = ((t - location) / scale) ** 2
    return scale.log() + 0.5 * torch.log(n * np.pi) + torch.lgamma(n / 2) - torch.lgamma((n + 1) / 2) + (n + 1) / 2 * torch.log1p(z / n)


for n in [0.5, 1.0, 4.0, 30.0, 1e6]:
    likelihood("studentTLikelihood", {"degreesOfFreedom": n}, y, p[:, :4], lambda t, x: student(t, x[:, :2], softplus(x[:, 2:]), torch.tensor(n, dtype=torch.float64)))
    expected = -scipy.stats.t.logpdf(y, n, p[:, :2], np.logaddexp(0, p[:, 2:4])).mean()
    assert abs(expected - likelihoods[-1]["value"]) < 1e-8 * max(1, abs(expected)), (n, expected)
for scale in [1.0, 40.0, 3000.0]:
    q = p.copy()
    q[:, 4:] *= scale
    likelihood("studentTLikelihood", {"degreesOfFreedom": None, "transform": "exp"}, y, q, lambda t, x: student(t, x[:, :2], x[:, 2:4].exp(), 2 + softplus(x[:, 4:])))

print(json.dumps({"cases": cases, "ctc": ctc, "likelihoods": likelihoods}))
