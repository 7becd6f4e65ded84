"""Random functional models of Keras 3 in float64, on PyTorch (which builds them far faster than JAX): three to eight layers, masks from embeddings
and masking, nested models, shared layers, operations, initial states, masks as arguments, several inputs and outputs.

For each: its configuration, inputs and weights (float32 numbers), outputs, and gradients of sum(outputs * cotangents) for weights and inputs.

Run:  python test/golden/random-models.py                    writes random-models.json beside this file
      ... random-models.py SEED COUNT FILE                   others; UNROLLED_RANDOM_MODELS=FILE makes the test read them

Not drawn, because Keras 3.15 is at fault there: initial states beside a mask that comes with the input (it is lost), masks for
MultiHeadAttention (its derivative on PyTorch is wrong where a query may look nowhere), walking backwards under a mask that goes on.
"""

import json
import os
import pathlib
import sys
import warnings

warnings.filterwarnings("ignore")
os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import torch
from keras import layers, ops
from keras.src.backend import get_keras_mask
from keras.src.ops.function import map_graph

torch.set_num_threads(1)
keras.config.set_floatx("float64")
SEED = int(sys.argv[1]) if len(sys.argv) > 1 else 41
COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 24
FILE = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else pathlib.Path(__file__).with_suffix(".json")

KINDS = ["SimpleRNN", "LSTM", "GRU"]
ACTIVATIONS = ["tanh", "sigmoid", "softsign", "elu", "relu", "gelu", "silu", "linear", "softplus", "selu", "hard_sigmoid", "mish", "leaky_relu"]
MERGES = [layers.Add, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum, layers.Subtract, layers.Concatenate]


def stored(x):
    x = np.asarray(x)
    whole = x.dtype.kind in "iu"
    return {"shape": list(x.shape), "data": [int(v) if whole else float(f"{v:.9g}") for v in x.ravel()], "whole": whole}


class Draw:
    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.inputs, self.values, self.pool = [], [], []

    def pick(self, *values):
        return values[self.random.integers(len(values))]

    def flip(self, share=0.5):
        return bool(self.random.random() < share)

    def size(self, low, high):
        return int(self.random.integers(low, high + 1))

    def normal(self, *shape, scale=1.0):
        return np.float32(self.random.standard_normal(shape) * scale).astype("float64")

    def activation(self):
        return self.pick(*ACTIVATIONS)

    # ---- layers

    def cell_options(self, kind):
        options = {"units": self.size(1, 4), "use_bias": self.flip(0.8), "activation": self.pick("tanh", self.activation())}
        if kind != "SimpleRNN":
            options["recurrent_activation"] = self.pick("sigmoid", "hard_sigmoid", "softsign")
        if kind == "GRU":
            options["reset_after"] = self.flip()
        return options

    def recurrent(self, masked, **fixed):
        kind = self.pick(*KINDS)
        options = {"return_sequences": self.flip(0.7), "go_backwards": not masked and self.flip(0.3), "zero_output_for_mask": self.flip(0.3)}
        return getattr(layers, kind)(**{**self.cell_options(kind), **options, **fixed})

    def bidirectional(self):
        kind, units, sequences = self.pick(*KINDS), self.size(1, 3), self.flip(0.7)
        make = lambda back: getattr(layers, kind)(**{**self.cell_options(kind), "units": units}, return_sequences=sequences, go_backwards=back)
        return layers.Bidirectional(make(False), merge_mode=self.pick("concat", "sum", "mul", "ave"), backward_layer=make(True) if self.flip(0.4) else None)

    def stack(self, masked):
        cells = [getattr(layers, kind + "Cell")(**self.cell_options(kind)) for kind in (self.pick(*KINDS) for _ in range(self.size(1, 3)))]
        return layers.RNN(cells, return_sequences=self.flip(0.7), go_backwards=not masked and self.flip(0.3))

    def layer(self, x, masked, nest=True):
        """A layer for (B, T, F)."""
        choices = [lambda: self.recurrent(masked)] * 5 + [self.bidirectional] * 3 + [lambda: self.stack(masked)] * 2
        choices += [
            lambda: layers.TimeDistributed(self.pick(layers.Dense(self.size(1, 4)), layers.LayerNormalization())),
            lambda: layers.Dense(self.size(1, 4), activation=self.activation()),
            lambda: self.pick(layers.LayerNormalization(), layers.BatchNormalization(), layers.Activation(self.activation())),
            lambda: self.pick(layers.Dropout(0.3), layers.SpatialDropout1D(0.2), layers.GaussianNoise(0.1)),
            lambda: layers.EinsumDense("btf,fu->btu", (None, self.size(1, 3)), bias_axes="u"),
        ]
        if not masked:
            choices += [
                lambda: layers.Conv1D(self.size(1, 4), self.size(1, min(3, x.shape[1])), padding=self.pick("same", "causal", "valid")),
                lambda: self.pick(layers.SeparableConv1D(self.size(1, 4), 2, padding="same"), layers.DepthwiseConv1D(2, padding="same")),
                lambda: self.pick(layers.MaxPooling1D, layers.AveragePooling1D)(2, padding="same"),
                lambda: self.pick(layers.ZeroPadding1D(1), layers.UpSampling1D(2), layers.Permute((2, 1)), layers.Flatten()),
                lambda: self.pick(layers.UnitNormalization(), layers.RMSNormalization(), layers.GlobalMaxPooling1D()),
            ]
        if nest:
            choices += [lambda: self.sequential(x, masked)] * 2
        return self.pick(*choices)()

    def sequential(self, x, masked):
        shape, made = tuple(x.shape), []
        for _ in range(self.size(1, 3)):
            made.append(self.layer(keras.KerasTensor(shape), masked, False) if len(shape) == 3 else layers.Dense(self.size(1, 3)))
            shape = made[-1].compute_output_shape(shape)
        return keras.Sequential([keras.Input(tuple(x.shape[1:])), *made] if self.flip() else made)

    def functional(self, x, masked):
        start = keras.Input(tuple(x.shape[1:]))
        y = self.layer(start, masked, False)(start)
        if tuple(y.shape) == tuple(start.shape):
            y = layers.Add()([y, start])
        return keras.Model(start, self.layer(y, masked, False)(y) if len(y.shape) == 3 and self.flip() else y)

    # ---- models

    def begin(self, batch, steps):
        how = self.pick("plain", "masking", "words", "words")
        if how == "words":
            ids = self.random.integers(1, 7, (batch, steps))
            form = self.pick("left", "right", "holes", "whole")
            for row in ids:
                length = self.size(1, steps)
                row[{"left": slice(0, steps - length), "right": slice(length, None), "holes": self.random.random(steps) < 0.4, "whole": slice(0, 0)}[form]] = 0
            x, masked = keras.Input((steps,), dtype="int32"), self.flip(0.7)
            self.values.append(ids.astype("int32"))
            self.pool.append((layers.Embedding(7, self.size(1, 4), mask_zero=masked)(x), masked))
        else:
            x = keras.Input((steps, self.size(1, 4)))
            self.values.append(self.normal(batch, *x.shape[1:]))
            if how == "masking":
                self.values[-1][self.random.random((batch, steps)) < 0.3] = 0
            self.pool.append((layers.Masking()(x), True) if how == "masking" else (x, False))
        self.inputs.append(x)

    def grow(self, batch):
        sequences = [p for p in self.pool if len(p[0].shape) == 3]
        vectors = [p[0] for p in self.pool if len(p[0].shape) == 2]
        t, masked = self.pick(*sequences)
        put = lambda y: self.pool.append((y, masked if get_keras_mask(y) is None and len(y.shape) == 3 and y.shape[1] == t.shape[1] else get_keras_mask(y) is not None))
        free = [p[0] for p in sequences if not p[1]]
        what = self.pick("layer", "layer", "layer", "layer", "nested", "merge", "states", "returned", "attention", "heads", "operation", "shared", "mask", "repeat")
        if what == "layer":
            put(self.layer(t, masked)(t))
        elif what == "nested":
            put(self.functional(t, masked)(t))
        elif what == "merge":
            put(self.pick(*MERGES)()([t, self.pick(*[p[0] for p in sequences if tuple(p[0].shape) == tuple(t.shape)])]))
        elif what == "states" and not masked:
            kind = self.pick(*KINDS)
            options, both = self.cell_options(kind), self.flip(0.3)
            layer = getattr(layers, kind)(**options, return_sequences=self.flip())
            given = self.pick(*vectors) if vectors else layers.Flatten()(t)
            states = [layers.Dense(options["units"], activation="tanh")(given) for _ in range((2 if kind == "LSTM" else 1) * (2 if both else 1))]
            put((layers.Bidirectional(layer) if both else layer)(t, initial_state=states))
        elif what == "returned":
            layer = getattr(layers, self.pick(*KINDS))(self.size(1, 3), return_state=True, return_sequences=self.flip())
            for y in (layers.Bidirectional(layer, merge_mode=self.pick("concat", "sum", None)) if self.flip() else layer)(t):
                put(y)
        elif what == "attention":
            others = [x for x in free if x.shape[2] == t.shape[2]]
            if others:
                layer = self.pick(layers.Attention(use_scale=self.flip(), score_mode=self.pick("dot", "concat")), layers.AdditiveAttention())
                put(layer([t, self.pick(*others)], use_causal_mask=self.flip(0.3)))
        elif what == "heads" and not masked:
            put(layers.MultiHeadAttention(self.size(1, 2), self.size(1, 3), value_dim=self.pick(None, 2))(t, self.pick(*free)))
        elif what == "operation":
            y = self.pick(lambda: t + t * 0.5, lambda: t[:, -1], lambda: ops.flip(t, axis=1), lambda: 1 - ops.tanh(t) / 3, lambda: ops.mean(t, axis=1), lambda: ops.where(t > 0.1, t, -t))()
            self.pool.append((y, False))
        elif what == "shared":
            layer = self.pick(layers.Dense(2), layers.LSTM(2, return_sequences=True), layers.Bidirectional(layers.GRU(2, return_sequences=True)))
            for x in (t, self.pick(*[p[0] for p in sequences if p[0].shape[2] == t.shape[2]])):
                self.pool.append((layer(x), True))
        elif what == "mask" and not masked:
            valid = keras.Input((t.shape[1],))
            self.inputs.append(valid)
            self.values.append((self.random.random((batch, t.shape[1])) < 0.7).astype("float64"))
            put(self.recurrent(True, return_sequences=False)(t, mask=ops.not_equal(valid, 0)))
        elif what == "repeat" and vectors:
            self.pool.append((layers.RepeatVector(self.size(1, 4))(self.pick(*vectors)), False))

    def model(self):
        batch, steps = self.size(1, 4), self.size(2, 6)
        for _ in range(self.size(1, 2)):
            self.begin(batch, steps)
        for _ in range(self.size(3, 8)):
            self.grow(batch)
        own = {id(x) for x in self.inputs}
        outputs = [y for y, _ in self.pool[-self.size(1, 3) :] if id(y) not in own] or [layers.Dense(2)(self.pool[0][0])]
        nodes = map_graph(self.inputs, outputs)[1].values()
        used = {id(x) for level in nodes for node in level for x in node.arguments.keras_tensors}
        kept = [(x, v) for x, v in zip(self.inputs, self.values) if id(x) in used]
        return keras.Model([x for x, _ in kept], outputs), [v for _, v in kept]


def case(seed):
    keras.backend.clear_session()
    draw = Draw(seed)
    model, values = draw.model()
    for weight in model.weights:
        value = draw.normal(*weight.shape, scale=0.6)
        weight.assign(np.abs(value) + 0.25 if "variance" in weight.path else value)
    weights = [w for w in model.weights if "seed" not in w.path]
    x = [torch.tensor(v, requires_grad=v.dtype.kind == "f") for v in values]
    outputs = keras.tree.flatten(model(x if len(x) > 1 else x[0], training=False))
    given = [draw.normal(*y.shape) for y in outputs]
    total = sum((y * torch.tensor(g)).sum() for y, g in zip(outputs, given))
    # What nothing trainable flows to has no derivative at all.
    leaves = [t for t in [*(w.value for w in weights if w.trainable), *x] if t.requires_grad] if total.requires_grad else []
    found = dict(zip(map(id, leaves), torch.autograd.grad(total, leaves, allow_unused=True) if leaves else []))
    slope = lambda t: None if found.get(id(t)) is None else stored(found[id(t)].numpy())
    return {
        "name": f"{seed}: {', '.join(l.__class__.__name__ for l in model.layers)}",
        "config": json.loads(model.to_json()),
        "weights": [stored(w.numpy()) for w in weights],
        "inputs": [stored(v) for v in values],
        "outputGradients": [stored(g) for g in given],
        "outputs": [stored(y.detach().numpy()) for y in outputs],
        "weightGradients": [slope(w.value) for w in weights],
        "inputGradients": [slope(t) for t in x],
    }


if __name__ == "__main__":
    cases, faults = [], []
    for seed in range(SEED, SEED + COUNT):
        try:
            cases.append(case(seed))
        except Exception as error:  # Keras itself fails on some of what is drawn.
            faults.append(f"{seed}: {type(error).__name__} {str(error)[:200]}")
    FILE.write_text('{"seed": %d, "keras": "%s", "cases": [\n%s\n]}\n' % (SEED, keras.__version__, ",\n".join(map(json.dumps, cases))))
    print(len(cases), "models", *faults, sep="\n")
