"""Options of recurrent layers as Keras 3 computes them, with the JAX backend, over random configurations:
KERAS_BACKEND=jax python recurrent-options.py > recurrent-options.json

`layers`: outputs and gradients of sum(outputs * cotangents) for weights and inputs (x, then initial states).
`stateful`: outputs of batches that follow each other, and the states after the last one.
`training`: losses of steps of a model with regularisers and constraints, its loss in evaluation, and the weights after the last step.
"""
import json
import os
import sys

os.environ["KERAS_BACKEND"] = "jax"
import jax
import keras
import numpy as np
from keras import constraints, layers, regularizers

SEED = 41
rng = np.random.default_rng(SEED)
pick = lambda *values: values[rng.integers(len(values))]
flip = lambda: bool(rng.integers(2))


def stored(array):
    array = np.asarray(array, dtype=np.float64)
    return {"shape": list(array.shape), "data": [float(f"{v:.7g}") for v in array.ravel()]}


def mask_for(batch, length, kind):
    if kind is None:
        return None
    if kind == "holes":
        mask = rng.integers(0, 2, (batch, length))
        mask[0] = 0  # an empty row
        return mask
    lengths = rng.integers(1, length + 1, batch)
    row = np.arange(length)[None]
    return ((row < lengths[:, None]) if kind == "right" else (row >= length - lengths[:, None])).astype(int)


def random_weights(layer):
    layer.set_weights([rng.standard_normal(w.shape).astype("float32") * 0.4 for w in layer.weights])


def layer_case(title, layer, shape, mask_kind=None, states=()):
    print(title, file=sys.stderr)
    x = rng.standard_normal(shape).astype("float32")
    given = [rng.standard_normal(s).astype("float32") for s in states]
    mask = mask_for(shape[0], shape[1], mask_kind)
    mask_array = None if mask is None else mask.astype(bool)

    def apply(trainable, x, given):
        kwargs = {"mask": mask_array} if mask is not None else {}
        if given:
            kwargs["initial_state"] = list(given)
        outputs, _ = layer.stateless_call(trainable, [v.value for v in layer.non_trainable_variables], x, **kwargs)
        return keras.tree.flatten(outputs)

    layer(x, **({"initial_state": list(given)} if given else {}))
    random_weights(layer)
    weights = [v.value for v in layer.trainable_variables]
    outputs = apply(weights, x, given)
    cotangents = [rng.standard_normal(y.shape).astype("float32") for y in outputs]
    total = lambda w, x, g: sum((y * c).sum() for y, c in zip(apply(w, x, g), cotangents))
    dw, dx, dg = jax.grad(total, argnums=(0, 1, 2))(weights, x, given)
    return {
        "title": title, "layer": keras.saving.serialize_keras_object(layer), "inputs": [stored(a) for a in [x, *given]],
        "mask": None if mask is None else mask.tolist(), "weights": [stored(w) for w in weights],
        "outputs": [stored(y) for y in outputs], "cotangents": [stored(c) for c in cotangents],
        "weightGradients": [stored(g) for g in dw], "inputGradients": [stored(g) for g in [dx, *dg]],
    }


ACTIVATIONS = ["tanh", "relu", "sigmoid", "hard_sigmoid", "linear", "softsign", "softplus", "elu", "selu", "gelu", "silu", "mish", "leaky_relu", "exponential"]


def cell_options(kind, gentle=False):
    options = {"units": int(rng.integers(1, 5)), "use_bias": flip(), "activation": "tanh" if gentle else pick("tanh", "softsign", "elu", "gelu", "mish", "silu")}
    if kind != "SimpleRNN":
        options["recurrent_activation"] = pick("sigmoid", "hard_sigmoid", "softsign", "tanh")
    if kind == "GRU":
        options["reset_after"] = flip()
    return options


def flags(**fixed):
    return {"return_sequences": flip(), "return_state": flip(), "go_backwards": flip(), "zero_output_for_mask": flip(), **fixed}


KINDS = ["SimpleRNN", "LSTM", "GRU"]
KINDS_OF_MASK = [None, "left", "right", "holes"]
cases = []

for index, activation in enumerate(ACTIVATIONS):
    kind = KINDS[index % 3]
    options = {**cell_options(kind, True), "activation": activation}
    cases.append(layer_case(f"{kind} {activation}", getattr(layers, kind)(**options, **flags()), (3, 5, 2), pick(*KINDS_OF_MASK)))

for index in range(9):
    kind = KINDS[index % 3]
    options, own = cell_options(kind), flags(return_state=True)
    batch, length, features = (int(rng.integers(1, 5)) for _ in range(3))
    layer = getattr(layers, kind)(**options, **own)
    states = [(batch, options["units"])] * (2 if kind == "LSTM" else 1)
    cases.append(layer_case(f"{kind} with initial states {index}", layer, (batch, length, features), KINDS_OF_MASK[index % 4], states))

for index in range(6):
    kinds = [pick(*KINDS) for _ in range(2 + index % 2)]
    cells = [getattr(layers, kind + "Cell")(**cell_options(kind)) for kind in kinds]
    layer = layers.RNN(layers.StackedRNNCells(cells), **flags())
    cases.append(layer_case(f"stack of {', '.join(kinds)} {index}", layer, (3, 4, 2), KINDS_OF_MASK[index % 4]))

for index, mode in enumerate(["concat", "sum", "mul", "ave", None, "concat", "sum", "concat"]):
    one, two = pick(*KINDS), pick(*KINDS)
    if index % 2:  # Keras gives each direction half of the initial states, so that both must have as many
        two = one if one == "LSTM" else pick("GRU", "SimpleRNN")
    sequences, state = flip(), flip()
    units = int(rng.integers(1, 4))
    same = {"return_sequences": sequences, "return_state": state}
    forward = getattr(layers, one)(**{**cell_options(one), "units": units}, **same)
    backward = getattr(layers, two)(**{**cell_options(two), "units": units if mode != "concat" else units + 1}, **same, go_backwards=True)
    layer = layers.Bidirectional(forward, merge_mode=mode, backward_layer=backward)
    count = lambda kind, u: [(3, u)] * (2 if kind == "LSTM" else 1)
    states = count(one, forward.units) + count(two, backward.units) if index % 2 else ()
    cases.append(layer_case(f"bidirectional {one}, {two}, {mode} {index}", layer, (3, 4, 2), KINDS_OF_MASK[index % 4], states))

for rank in (1, 2, 3):
    for index in range(4 if rank < 3 else 2):
        dilated = index == 2
        options = {
            "filters": int(rng.integers(1, 4)), "kernel_size": [int(rng.integers(1, 4)) for _ in range(rank)],
            "strides": 1 if dilated else [int(rng.integers(1, 3)) for _ in range(rank)], "dilation_rate": 2 if dilated else 1,
            "padding": "same" if dilated else pick("same", "valid"), "use_bias": flip(), "activation": pick("tanh", "softsign"),
        }
        layer = getattr(layers, f"ConvLSTM{rank}D")(**options, **flags())
        spatial = [int(rng.integers(4, 7)) for _ in range(rank)] if rank < 3 else [3, 4, 3]
        # No masks: with this backend Keras 3.15 fails on them (a condition of two axes beside states of more)
        cases.append(layer_case(f"ConvLSTM{rank}D {index}", layer, (2, 3, *spatial, int(rng.integers(1, 3)))))


def stateful_case(title, layer, shape):
    model = keras.Sequential([keras.Input(batch_shape=shape), layer])
    random_weights(model)
    batches = [rng.standard_normal(shape).astype("float32") for _ in range(3)]
    outputs = [keras.tree.flatten(model(x))[0] for x in batches]
    return {
        "title": title, "config": json.loads(model.to_json()), "weights": [stored(w) for w in model.get_weights()],
        "batches": [stored(x) for x in batches], "outputs": [stored(y) for y in outputs],
    }


stateful = []
for kind in KINDS:
    stateful.append(stateful_case(kind, getattr(layers, kind)(3, stateful=True, return_sequences=flip()), (2, 4, 3)))
stateful.append(stateful_case("bidirectional", layers.Bidirectional(layers.LSTM(2, stateful=True, return_sequences=True)), (2, 4, 3)))
stateful.append(stateful_case("stack", layers.RNN(layers.StackedRNNCells([layers.GRUCell(2), layers.LSTMCell(3)]), stateful=True), (2, 4, 3)))


def training_case(title, layer, embed):
    vocabulary = 6
    first = (
        layers.Embedding(vocabulary, 3, mask_zero=True, embeddings_regularizer=regularizers.L2(0.02), embeddings_constraint=constraints.MaxNorm(0.7, axis=1), activity_regularizer=regularizers.L1(0.01))
        if embed
        else layers.Dense(3, kernel_regularizer=regularizers.L2(0.02), bias_regularizer=regularizers.L1(0.03), kernel_constraint=constraints.NonNeg(), activity_regularizer=regularizers.L2(0.02))
    )
    model = keras.Sequential([keras.Input((4,) if embed else (4, 2)), first, layer, layers.Dense(1, bias_constraint="non_neg")])
    random_weights(model)
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    x = rng.integers(0, vocabulary, (5, 4)) if embed else rng.standard_normal((5, 4, 2)).astype("float32")
    if embed:
        x[:, 0] = 1 + rng.integers(0, vocabulary - 1, 5)
    y = rng.standard_normal((5, 1)).astype("float32")
    start = model.get_weights()
    evaluated = model.evaluate(x, y, verbose=0)
    losses = [float(model.train_on_batch(x, y)) for _ in range(4)]
    return {
        "title": title, "config": json.loads(model.to_json()), "weights": [stored(w) for w in start], "x": stored(x), "ids": embed, "y": stored(y),
        "evaluated": float(evaluated), "losses": losses, "after": [stored(w) for w in model.get_weights()],
    }


training = [
    training_case("LSTM", layers.LSTM(3, kernel_regularizer="l1", recurrent_regularizer=regularizers.OrthogonalRegularizer(0.1), bias_regularizer="l2", kernel_constraint=constraints.MaxNorm(0.5), recurrent_constraint=constraints.UnitNorm(), bias_constraint="non_neg", activity_regularizer=regularizers.L2(0.1)), True),
    training_case("GRU", layers.GRU(2, kernel_regularizer=regularizers.OrthogonalRegularizer(0.1, mode="columns"), kernel_constraint=constraints.MinMaxNorm(0.3, 0.6, 0.5), recurrent_constraint=constraints.MaxNorm(0.4, axis=[0, 1]), activity_regularizer="l1"), False),
    training_case("SimpleRNN", layers.Bidirectional(layers.SimpleRNN(2, recurrent_regularizer=regularizers.L1L2(0.03, 0.02), recurrent_constraint="unit_norm", kernel_regularizer=regularizers.L1L2(0.01, 0.1), activity_regularizer="l2")), False),
]

print(json.dumps({"seed": SEED, "keras": keras.__version__, "layers": cases, "stateful": stateful, "training": training}))
