"""Random configurations of every layer, as Keras 3 on JAX computes them in float64: options, shapes and masks (left and right padding,
holes, rows without any valid step) are drawn from a seed.

`layers`: outputs, the mask of the first, gradients of sum(outputs * cotangents) with respect to weights and inputs, and in training the new
values of weights that a layer changes itself. Numbers drawn are multiples of 1/1024, exact in float32; they are stored as integers.
`training`: models of one such layer with drawn penalties and constraints: the losses of steps of SGD and the weights after them.

Run:  KERAS_BACKEND=jax python test/golden/random-layers.py       writes random-layers.json beside this file
      ... random-layers.py SEED ROUNDS FILE                       more of them; UNROLLED_RANDOM_LAYERS=FILE makes the test read them

Not drawn, because Keras 3.15 is at fault there or has no fixed answer:
- the mask of ConvLSTM is applied here by hand around Keras's cell: on JAX Keras fails on it (a condition of two axes beside more);
- masks are handed to recurrent layers as an argument: Keras loses the one that comes with the input when initial_state is given;
- sparsemax: Keras adds cumulative sums where the sum belongs, and is right only where one element is left;
- RMSNormalization along one axis that is not the last: Keras multiplies its scale along the last one;
- attention rows that may look at no key: Keras takes 1e9 from all their scores, which rounds differently in float32;
- weights of 0 under an L1 penalty, whose slope there is 1 on JAX and 0 here. Few seeds draw one: of 7168, 5000 and 7015 the last, for EinsumDense.
"""

import json
import os
import pathlib
import sys

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_ENABLE_X64"] = "1"

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras import constraints, layers, regularizers
from keras.src import backend
from keras.src.backend.common import dtypes

jax.config.update("jax_enable_x64", True)
keras.config.set_floatx("float64")
# Some operations of Keras on JAX would go back to float32.
dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
UNIT = 1024
SEED = int(sys.argv[1]) if len(sys.argv) > 1 else 7
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 1
FILE = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else pathlib.Path(__file__).with_suffix(".json")
random = np.random.default_rng(SEED)


def pick(*values):
    return values[random.integers(len(values))]


def flip():
    return bool(random.integers(2))


def size(low, high):
    return int(random.integers(low, high + 1))


def draw(shape, scale=1.0):
    return np.round(random.normal(size=shape) * scale * UNIT) / UNIT


def stored(x):
    x = np.asarray(x)
    return {"shape": list(x.shape), "units": [int(v) for v in np.round(x * UNIT).ravel()]}


def precise(x):
    x = np.asarray(x, dtype=np.float64)
    return {"shape": list(x.shape), "data": [float(f"{v:.9g}") for v in x.ravel()]}


def plain(value):
    return json.loads(json.dumps(value))


MASKS = [None, "left", "right", "holes", "empty"]


def make_mask(kind, batch, steps):
    if kind is None:
        return None
    mask = np.ones((batch, steps), dtype=bool)
    for row in range(batch):
        if kind == "right":
            mask[row, random.integers(1, steps + 1) :] = False
        elif kind == "left":
            mask[row, : random.integers(0, steps)] = False
        else:
            mask[row] = random.random(steps) < 0.6
            mask[row, random.integers(steps)] = True
    if kind == "empty":
        mask[random.integers(batch)] = False
    return mask


# ---- how a layer is called


class Call:
    """One layer with its inputs: `run(weights, inputs)` gives its outputs, and the new values of weights that it changes."""

    def __init__(self, layer, inputs, masks, training=False, call=None, spread=False, states=0):
        self.layer, self.inputs, self.masks, self.training = layer, inputs, masks, training
        self.call, self.spread, self.states = dict(call or {}), spread, states

    def build(self):
        shapes = [x.shape for x in self.inputs[: len(self.inputs) - self.states]]
        if self.layer.built and self.layer.weights:
            return
        if self.spread:
            self.layer.build(*shapes)
        else:
            self.layer.build(shapes if len(shapes) > 1 else shapes[0])

    def apply(self, xs):
        layer = self.layer
        xs = [jnp.asarray(x) + 0 for x in xs]
        options = dict(self.call)
        own, given = (xs[: -self.states], xs[-self.states :]) if self.states else (xs, [])
        for x, mask in zip(own, self.masks):
            if mask is not None:
                backend.set_keras_mask(x, jnp.asarray(mask))
        if layer._call_has_training_arg:
            options["training"] = self.training
        if given:
            options["initial_state"] = given
        if hasattr(layer, "return_state") and self.masks[0] is not None:
            options["mask"] = jnp.asarray(self.masks[0])
        outputs = layer(*(own if self.spread else [own if len(own) > 1 else own[0]]), **options)
        return keras.tree.flatten(outputs)

    def run(self, trainable, xs):
        layer = self.layer
        fixed = [v.value for v in layer.non_trainable_variables]
        values = [*zip(layer.trainable_variables, trainable), *zip(layer.non_trainable_variables, fixed)]
        with backend.StatelessScope(state_mapping=values) as scope:
            outputs = self.apply(xs)
        kept = [v if (v := scope.get_current_value(w)) is not None else w.value for w in layer.non_trainable_variables]
        return outputs, kept


class MaskedConvLSTM(Call):
    """Keras's cell, step by step, with the state carried where a step is masked."""

    def apply(self, xs):
        layer, cell = self.layer, self.layer.cell
        x, mask = jnp.asarray(xs[0]), jnp.asarray(self.masks[0])
        states = [jnp.asarray(s) for s in xs[1:]] or [jnp.zeros(s) for s in self.state_shapes()]
        beside = lambda m: m.reshape(m.shape + (1,) * (states[0].ndim - 1))
        steps = range(x.shape[1])[:: -1 if layer.go_backwards else 1]
        outputs = []
        output = states[0]
        for t in steps:
            now, following = cell(x[:, t], states)
            valid = beside(mask[:, t])
            states = [jnp.where(valid, new, old) for new, old in zip(following, states)]
            # ConvLSTM sets zero_output_for_mask nowhere: the carried output is repeated.
            output = jnp.where(valid, now, output)
            outputs.append(output)
        y = jnp.stack(outputs, 1) if layer.return_sequences else output
        return [y, *states] if layer.return_state else [y]

    def state_shapes(self):
        shape = self.layer.compute_output_shape(self.inputs[0].shape)
        shape = shape[0] if isinstance(shape[0], (list, tuple)) else shape
        y = (shape[0], *shape[2:]) if self.layer.return_sequences else tuple(shape)
        return [y, y]


def settle(layer):
    """Gives all weights drawn values."""
    for weight in layer.weights:
        if "seed" in weight.path:
            continue
        value = np.abs(draw(weight.shape)) + 0.25 if "variance" in weight.path else draw(weight.shape, 0.6)
        weight.assign(value)


def record(name, one):
    layer = one.layer
    one.build()
    settle(layer)
    weights = [w for w in layer.weights if "seed" not in w.path]
    trainable = [v.value for v in layer.trainable_variables]
    outputs, kept = one.run(trainable, one.inputs)
    mask = backend.get_keras_mask(outputs[0])
    given = [draw(y.shape) for y in outputs]

    def total(trainable, xs):
        return sum((y * g).sum() for y, g in zip(one.run(trainable, xs)[0], given))

    weight_gradients, input_gradients = jax.grad(total, argnums=(0, 1))(trainable, [jnp.asarray(x) for x in one.inputs])
    if not np.all([np.isfinite(g).all() for g in [*outputs, *weight_gradients, *input_gradients]]):
        raise ValueError(f"{name}: not finite")
    trained = [w.path for w in layer.trainable_variables]
    paths = [w.path for w in weights]
    changed = {}
    for variable, value in zip(layer.non_trainable_variables, kept):
        if one.training and variable.path in paths:
            changed[paths.index(variable.path)] = precise(value)
    # Keras leaves the mask of a layer that walks backwards as it was; here it follows its steps.
    turned = bool(getattr(layer, "go_backwards", False) or (getattr(layer, "forward_layer", None) is not None and layer.forward_layer.go_backwards))
    return {
        "name": name,
        "layer": plain(keras.saving.serialize_keras_object(layer)),
        "call": one.call,
        "training": one.training,
        "precision": 2e-6 if one.spread else 1e-7,
        "inputs": [stored(x) for x in one.inputs],
        "masks": [None if m is None else m.astype(int).tolist() for m in one.masks],
        "weights": [stored(w.numpy()) for w in weights],
        "outputGradients": [stored(g) for g in given],
        "outputs": [precise(y) for y in outputs],
        "maskCompared": not turned and not isinstance(one, MaskedConvLSTM),
        "mask": None if mask is None else np.asarray(mask).astype(int).tolist(),
        "weightGradients": [precise(weight_gradients[trained.index(p)]) if p in trained else None for p in paths],
        "inputGradients": [precise(g) for g in input_gradients],
        "updates": changed,
    }


# ---- drawing layers

SMOOTH = ["linear", "tanh", "sigmoid", "softplus", "softsign", "elu", "selu", "gelu", "silu", "mish", "celu", "log_sigmoid", "tanh_shrink", "squareplus"]
KINKED = ["relu", "relu6", "leaky_relu", "hard_sigmoid", "hard_silu", "hard_tanh", "hard_shrink", "soft_shrink", "sparse_plus", "sparse_sigmoid", "exponential", "softmax", "log_softmax"]


def activation():
    return pick(*SMOOTH, *KINKED)


def sequence(low=1, features=None):
    return (size(1, 4), size(low, 6), features or size(1, 5))


def one_input(make, shape=None, mask=True, **options):
    def build():
        own = shape() if callable(shape) else (shape or sequence())
        layer = make(own)
        kind = pick(*MASKS) if mask and len(own) >= 3 else None
        return Call(layer, [draw(own)], [make_mask(kind, *own[:2])], **{k: v() if callable(v) else v for k, v in options.items()})

    return build


def axes_of(shape):
    """The last axis, another one, or several."""
    several = tuple(sorted(random.choice(np.arange(1, len(shape)), size(1, len(shape) - 1), replace=False).tolist()))
    return pick(-1, -1, size(1, len(shape) - 1), list(several))


def affine():
    return {"epsilon": pick(1e-3, 1e-2), "center": flip(), "scale": flip()}


def flags(**fixed):
    return {"return_sequences": flip(), "return_state": flip(), "go_backwards": flip(), **fixed}


def cell_options(kind):
    options = {"units": size(1, 4), "use_bias": flip(), "activation": pick("tanh", "tanh", *SMOOTH[:10])}
    if kind != "SimpleRNN":
        options["recurrent_activation"] = pick("sigmoid", "sigmoid", "hard_sigmoid", "softsign", "tanh")
    if kind == "GRU":
        options["reset_after"] = flip()
    return options


KINDS = ["SimpleRNN", "LSTM", "GRU"]


def recurrent(kind):
    def build():
        shape = sequence()
        options = cell_options(kind)
        layer = getattr(layers, kind)(**options, **flags(zero_output_for_mask=flip()))
        states = (2 if kind == "LSTM" else 1) if flip() else 0
        inputs = [draw(shape), *[draw((shape[0], options["units"])) for _ in range(states)]]
        return Call(layer, inputs, [make_mask(pick(*MASKS), *shape[:2])], states=states)

    return build


def stack():
    shape = sequence()
    kinds = [pick(*KINDS) for _ in range(size(1, 3))]
    cells = [getattr(layers, kind + "Cell")(**cell_options(kind)) for kind in kinds]
    layer = layers.RNN(layers.StackedRNNCells(cells) if len(cells) > 1 else cells[0], **flags(zero_output_for_mask=flip()))
    return Call(layer, [draw(shape)], [make_mask(pick(*MASKS), *shape[:2])])


def bidirectional():
    shape = sequence()
    one = pick(*KINDS)
    same = {"return_sequences": flip(), "return_state": flip()}
    units = size(1, 4)
    mode = pick("concat", "sum", "mul", "ave", None)
    make = lambda back: getattr(layers, one)(**{**cell_options(one), "units": units}, **same, go_backwards=back)
    turned = random.random() < 0.2
    layer = layers.Bidirectional(make(turned), merge_mode=mode, backward_layer=make(not turned) if flip() else None)
    states = (4 if one == "LSTM" else 2) if flip() else 0
    inputs = [draw(shape), *[draw((shape[0], units)) for _ in range(states)]]
    return Call(layer, inputs, [make_mask(pick(*MASKS), *shape[:2])], states=states)


def conv_lstm(rank):
    def build():
        dilated = random.random() < 0.3
        options = {
            "filters": size(1, 3),
            "kernel_size": [size(1, 3) for _ in range(rank)],
            "strides": 1 if dilated else [size(1, 2) for _ in range(rank)],
            "dilation_rate": 2 if dilated else 1,
            "padding": "same" if dilated else pick("same", "valid"),
            "use_bias": flip(),
            "activation": pick("tanh", "softsign", "elu"),
            "recurrent_activation": pick("sigmoid", "hard_sigmoid"),
        }
        shape = (size(1, 3), size(1, 4), *[size(3, 5) for _ in range(rank)], size(1, 2))
        layer = getattr(layers, f"ConvLSTM{rank}D")(**options, **flags())
        kind = pick(*MASKS)
        route = Call if kind is None else MaskedConvLSTM
        return route(layer, [draw(shape)], [make_mask(kind, *shape[:2])])

    return build


def convolution(name):
    def make(shape):
        rank = len(shape) - 2
        window = [size(1, 3) for _ in range(rank)]
        dilated = flip()
        padding = pick("valid", "same", *(["causal"] if name == "Conv1D" else []))
        options = {
            "kernel_size": window,
            "strides": 1 if dilated else [size(1, 3) for _ in range(rank)],
            "dilation_rate": size(1, 2) if dilated else 1,
            "padding": padding,
            "use_bias": flip(),
            "activation": activation(),
        }
        if name == "Conv2D":
            options["strides"] = 1 if dilated else size(1, 2)
        if name in ("Conv1D", "Conv2D"):
            groups = pick(1, 1, shape[-1])
            options |= {"filters": groups * size(1, 3), "groups": groups}
        else:
            options["depth_multiplier"] = size(1, 2)
            options["strides"] = 1
            if name == "SeparableConv1D":
                options["filters"] = size(1, 4)
        if name in ("Conv1D", "Conv2D") and options["groups"] == 1 and random.random() < 0.2 and padding != "causal":
            # Keras takes the features of axis 1 then; shapes here are small in all of them.
            options["data_format"] = "channels_first"
        return getattr(layers, name)(**options)

    shape = (lambda: (size(1, 3), size(5, 7), size(5, 6), size(1, 3))) if name == "Conv2D" else (lambda: (size(1, 4), size(5, 9), size(1, 4)))
    return one_input(make, shape)


def pooling(name):
    return one_input(
        lambda shape: getattr(layers, name)(size(1, 3), pick(None, size(1, 3)), pick("valid", "same"), pick("channels_last", "channels_first")),
        lambda: (size(1, 4), size(3, 7), size(3, 6)),
    )


def merge(name):
    def build():
        count = 2 if name == "Subtract" else size(2, 4)
        shape = sequence()
        shapes = [shape] * count
        if name == "Concatenate":
            axis = pick(-1, -1, 1)
            shapes = [(shape[0], shape[1], size(1, 3)) if axis == -1 else (shape[0], size(1, 4), shape[2]) for _ in range(count)]
            layer = layers.Concatenate(axis=axis)
        else:
            layer = getattr(layers, name)()
            if random.random() < 0.3:
                shapes = [shape, *[tuple(pick(1, d) if i else d for i, d in enumerate(shape)) for _ in range(count - 1)]]
        fits = len({s[1] for s in shapes}) == 1 or name == "Concatenate"
        kinds = [pick(*MASKS) if fits else None for _ in shapes]
        return Call(layer, [draw(s) for s in shapes], [make_mask(k, *s[:2]) for k, s in zip(kinds, shapes)])

    return build


def dot():
    batch, steps, features = sequence()
    axes = pick(1, 2, (1, 2), (2, 1), -1)
    first, second = (axes, axes) if isinstance(axes, int) else axes
    first, second = first % 3, second % 3
    other = [batch, size(1, 4), size(1, 4)]
    other[second] = (batch, steps, features)[first]
    return Call(layers.Dot(axes=axes, normalize=flip()), [draw((batch, steps, features)), draw(other)], [None, None])


def looking(kind):
    """A mask that leaves no query without a key, also not under a causal mask."""
    return lambda batch, steps: None if kind is None else np.concatenate([np.ones((batch, 1), bool), make_mask(kind, batch, steps)[:, 1:]], 1)


def plain_attention(name):
    def build():
        batch, queries, features = sequence()
        keys = size(1, 6)
        query, value = (batch, queries, features), (batch, keys, pick(features, size(1, 4)))
        with_key = value[2] != features or flip()
        options = {"use_scale": flip()}
        if name == "Attention":
            options["score_mode"] = pick("dot", "concat")
        shapes = [query, value, *([(batch, keys, features)] if with_key else [])]
        masks = [make_mask(pick(*MASKS), *query[:2]), looking(pick(None, "right", "holes"))(*value[:2]), *([None] if with_key else [])]
        call = {"use_causal_mask": True} if flip() else {}
        if flip():
            call["return_attention_scores"] = True
        return Call(getattr(layers, name)(**options), [draw(s) for s in shapes], masks, call=call)

    return build


def head_attention(name):
    def build():
        batch, queries, features = sequence()
        keys = size(1, 6)
        query = (batch, queries, features)
        value = (batch, keys, features if name == "GroupQueryAttention" else size(1, 5))
        with_key = flip()
        # The key of a group query has the features of the value.
        key = (batch, keys, value[2] if name == "GroupQueryAttention" else size(1, 5))
        options = {"use_bias": flip(), "use_gate": flip()}
        if name == "MultiHeadAttention":
            # Sizes of values other than those of keys: JAX's own attention refuses them, so a dropout, silent at rest, takes the other route.
            other = flip()
            options |= {"num_heads": size(1, 3), "key_dim": size(1, 4), "value_dim": size(1, 4) if other else None, "dropout": 0.1 if other else 0.0}
            options["output_shape"] = pick(None, None, size(1, 4), [size(1, 3), 2])
        else:
            groups = size(1, 3)
            options |= {"head_dim": size(1, 4), "num_query_heads": groups * size(1, 3), "num_key_value_heads": groups}
        causal = flip()
        call = {"use_causal_mask": True} if causal else {}
        if flip():
            call["return_attention_scores"] = True
        shapes = [query, value, *([key] if with_key else [])]
        masks = [None if flip() else looking(pick("right", "holes"))(*query[:2]), looking(pick(None, "right", "holes"))(*value[:2]), *([looking(pick(None, "right"))(*key[:2])] if with_key else [])]
        # A masked query looks at nothing: only where the route gives zero for it.
        if masks[0] is not None and not (options.get("dropout") or call.get("return_attention_scores")):
            masks[0] = None
        return Call(getattr(layers, name)(**options), [draw(s) for s in shapes], masks, call=call, spread=True)

    return build


def attention_axes():
    batch, height, width, features = size(1, 2), size(1, 3), size(1, 4), size(1, 3)
    axes = pick(1, 2, [1, 2], [2, 1], [1])
    shape = (batch, height, width, features)
    other = [batch, height, width, size(1, 3)]
    for axis in [axes] if isinstance(axes, int) else axes:
        other[axis] = size(1, 4)
    layer = layers.MultiHeadAttention(size(1, 2), size(1, 3), value_dim=size(1, 3), attention_axes=axes, dropout=0.1)
    call = {"return_attention_scores": True} if flip() else {}
    return Call(layer, [draw(shape), draw(other)], [None, None], call=call, spread=True)


def einsum_dense():
    batch, steps, features = sequence()
    a, b = size(1, 3), size(1, 3)
    equation, output, bias = pick(
        ("abc,cd->abd", (None, a), pick(None, "d", "bd")),
        ("btf,fhd->bthd", (None, a, b), pick(None, "hd", "d", "h")),
        ("btf,ts->bsf", (a, features), pick(None, "s", "f")),
        ("btf,tfu->btu", (steps, a), pick(None, "tu")),
        ("...x,xy->...y", (a,), pick(None, "y")),
        ("ab...,bc->ac...", (a,), pick(None, "c")),
        ("abc,dc->adb", (a, steps), pick(None, "d")),
        ("abc,bc->abc", (steps, features), None),
    )
    if bias and "b" in bias and equation == "abc,cd->abd":
        output = (steps, a)
    layer = layers.EinsumDense(equation, output, bias_axes=bias, activation=activation())
    return Call(layer, [draw((batch, steps, features))], [make_mask(pick(*MASKS), batch, steps)])


def time_distributed():
    batch, steps = size(1, 3), size(1, 4)
    inner, shape = pick(
        (lambda: layers.Dense(size(1, 3), activation=activation()), (size(1, 4),)),
        (lambda: layers.LSTM(size(1, 3), return_sequences=flip()), (size(1, 4), size(1, 3))),
        (lambda: layers.GRU(size(1, 3)), (size(1, 4), size(1, 3))),
        (lambda: layers.Conv1D(size(1, 3), 2, padding="same"), (size(2, 4), size(1, 3))),
        (lambda: layers.Bidirectional(layers.SimpleRNN(2)), (size(1, 4), size(1, 3))),
        (lambda: layers.TimeDistributed(layers.Dense(2, activation="tanh")), (size(1, 3), size(1, 3))),
        (lambda: layers.TimeDistributed(layers.LSTM(2)), (size(1, 3), size(1, 3), size(1, 3))),
        (lambda: layers.LayerNormalization(), (size(2, 4),)),
        (lambda: layers.BatchNormalization(momentum=0.5), (size(1, 4),)),
        (lambda: layers.GlobalAveragePooling1D(), (size(1, 4), size(1, 3))),
        (lambda: layers.Dot(axes=1), None),
    )
    if shape is None:
        inner, shape = (lambda: layers.Flatten()), (2, 3)
    own = (batch, steps, *shape)
    return Call(layers.TimeDistributed(inner()), [draw(own)], [make_mask(pick(*MASKS), batch, steps)], training=flip())


def masking():
    shape = sequence()
    value = pick(0.0, 0.5, -1.0)
    x = draw(shape)
    x[~make_mask("empty", *shape[:2])] = value
    return Call(layers.Masking(mask_value=value), [x], [None])


def batch_normalization(shape):
    return layers.BatchNormalization(axis=pick(-1, -1, 1), momentum=pick(0.99, 0.5), **affine())


def prelu(shape):
    return layers.PReLU(shared_axes=pick(None, [1], [1, 2]))


def group_normalization(shape):
    return layers.GroupNormalization(groups=pick(-1, 1, 2), axis=pick(-1, -1, 1), **affine())


DRAWN = {
    "masking": masking,
    "activation": one_input(lambda s: layers.Activation(activation())),
    "relu": one_input(lambda s: layers.ReLU(max_value=pick(None, 1.2, 6), negative_slope=pick(0.0, 0.2), threshold=pick(0.0, 0.4))),
    "leaky relu": one_input(lambda s: layers.LeakyReLU(negative_slope=pick(0.3, 0.1, 0.0))),
    "elu": one_input(lambda s: layers.ELU(alpha=pick(1.0, 0.5))),
    "prelu": one_input(prelu),
    "softmax": one_input(lambda s: layers.Softmax(axis=pick(-1, 1, [1, 2])), mask=False),
    "identity": one_input(lambda s: layers.Identity()),
    "dropout at rest": one_input(lambda s: pick(layers.Dropout, layers.SpatialDropout1D, layers.GaussianNoise, layers.GaussianDropout, layers.AlphaDropout)(0.4)),
    "batch normalization": one_input(batch_normalization, training=flip),
    "batch normalization of pictures": one_input(batch_normalization, lambda: (size(1, 3), size(2, 3), size(2, 3), size(1, 3)), mask=False, training=flip),
    "layer normalization": one_input(lambda s: layers.LayerNormalization(axis=axes_of(s), **affine())),
    "rms normalization": one_input(lambda s: layers.RMSNormalization(axis=pick(-1, [1, 2]), epsilon=pick(1e-6, 1e-3))),
    "unit normalization": one_input(lambda s: layers.UnitNormalization(axis=pick(-1, 1, [1, 2]))),
    "group normalization": one_input(group_normalization, lambda: (size(1, 4), pick(2, 4), pick(2, 4))),
    **{name: convolution(name) for name in ["Conv1D", "Conv2D", "DepthwiseConv1D", "SeparableConv1D"]},
    **{name: pooling(name) for name in ["MaxPooling1D", "AveragePooling1D"]},
    "GlobalMaxPooling1D": one_input(lambda s: layers.GlobalMaxPooling1D(pick(None, "channels_first"), flip())),
    "GlobalAveragePooling1D": one_input(lambda s: layers.GlobalAveragePooling1D(keepdims=flip())),
    "flatten": one_input(lambda s: layers.Flatten(pick(None, "channels_first"))),
    "reshape": one_input(lambda s: layers.Reshape(pick((-1,), (s[2], s[1]), (s[1], s[2], 1), (1, -1)))),
    "permute": one_input(lambda s: layers.Permute(pick((2, 1), (1, 2)))),
    "repeat vector": one_input(lambda s: layers.RepeatVector(size(1, 4)), lambda: (size(1, 4), size(1, 4))),
    "cropping": one_input(lambda s: layers.Cropping1D(pick(1, (0, 1), (1, 0), (2, 1))), lambda: sequence(4)),
    "zero padding": one_input(lambda s: layers.ZeroPadding1D(pick(1, (0, 2), (3, 1)), pick("channels_last", "channels_first"))),
    "up sampling": one_input(lambda s: layers.UpSampling1D(size(1, 3))),
    "dense": one_input(lambda s: layers.Dense(size(1, 4), activation(), flip()), lambda: tuple(size(1, 4) for _ in range(size(2, 4)))),
    "einsum dense": einsum_dense,
    "time distributed": time_distributed,
    **{name: merge(name) for name in ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"]},
    "dot": dot,
    "attention": plain_attention("Attention"),
    "additive attention": plain_attention("AdditiveAttention"),
    "multi-head attention": head_attention("MultiHeadAttention"),
    "multi-head attention along axes": attention_axes,
    "group query attention": head_attention("GroupQueryAttention"),
    **{kind: recurrent(kind) for kind in KINDS},
    "stack of cells": stack,
    "bidirectional": bidirectional,
    "ConvLSTM1D": conv_lstm(1),
    "ConvLSTM2D": conv_lstm(2),
    "ConvLSTM3D": conv_lstm(3),
}


# ---- training with penalties and constraints


def penalty():
    return pick(None, regularizers.L1(0.02), regularizers.L2(0.05), regularizers.L1L2(0.02, 0.03))


def bound():
    return pick(None, constraints.MaxNorm(pick(0.5, 1.0)), constraints.UnitNorm(), constraints.NonNeg(), constraints.MinMaxNorm(0.2, 0.8, 0.5))


def smooth(regularizer):
    """Without L1: for outputs that a constraint may put at 0."""
    return regularizer if regularizer is None or isinstance(regularizer, regularizers.L2) else regularizers.L2(0.05)


def ruled(layer_class, parts, *args, **options):
    """A layer whose weights have drawn penalties and constraints, and whose output has a penalty too."""
    for part in parts:
        options[f"{part}_constraint"] = bound()
        # The slope of |x| at 0 is 1 on JAX, and 0 on the other backends and here: not where a constraint puts weights at 0.
        zeros = isinstance(options[f"{part}_constraint"], constraints.NonNeg)
        options[f"{part}_regularizer"] = pick(None, regularizers.L2(0.05)) if zeros else penalty()
    return layer_class(*args, **options)


TRAINED = {
    "Embedding": lambda: ruled(layers.Embedding, ["embeddings"], 6, 3, mask_zero=flip(), activity_regularizer=smooth(penalty())),
    "Dense": lambda: ruled(layers.Dense, ["kernel", "bias"], 3, activity_regularizer=penalty()),
    "Conv1D": lambda: ruled(layers.Conv1D, ["kernel", "bias"], 2, 2, padding="causal", activity_regularizer=penalty()),
    "DepthwiseConv1D": lambda: ruled(layers.DepthwiseConv1D, ["depthwise", "bias"], 2, activity_regularizer=penalty()),
    "SeparableConv1D": lambda: ruled(layers.SeparableConv1D, ["depthwise", "pointwise", "bias"], 2, 2, activity_regularizer=penalty()),
    "LayerNormalization": lambda: ruled(layers.LayerNormalization, ["gamma", "beta"], activity_regularizer=penalty()),
    "BatchNormalization": lambda: ruled(layers.BatchNormalization, ["gamma", "beta"], activity_regularizer=penalty()),
    "GroupNormalization": lambda: ruled(layers.GroupNormalization, ["gamma", "beta"], groups=1, activity_regularizer=penalty()),
    "PReLU": lambda: ruled(layers.PReLU, ["alpha"], activity_regularizer=penalty()),
    "EinsumDense": lambda: ruled(layers.EinsumDense, ["kernel", "bias"], "btf,fu->btu", (4, 3), bias_axes="u", activity_regularizer=penalty()),
    "Activation": lambda: layers.Activation("tanh", activity_regularizer=regularizers.L1(0.02)),
    "ActivityRegularization": lambda: layers.ActivityRegularization(0.02, 0.01),
    "RMSNormalization": lambda: layers.RMSNormalization(activity_regularizer=regularizers.L2(0.02)),
    "MultiHeadAttention": lambda: ruled(layers.MultiHeadAttention, ["kernel", "bias"], 2, 2, activity_regularizer=penalty()),
    "GroupQueryAttention": lambda: ruled(layers.GroupQueryAttention, ["kernel", "bias"], 2, 4, 2, activity_regularizer=penalty()),
    "TimeDistributed": lambda: layers.TimeDistributed(ruled(layers.Dense, ["kernel", "bias"], 2, activity_regularizer=penalty()), activity_regularizer=penalty()),
    **{kind: (lambda kind=kind: ruled(getattr(layers, kind), ["kernel", "recurrent", "bias"], 2, return_sequences=True, activity_regularizer=penalty())) for kind in KINDS},
    "ConvLSTM1D": lambda: ruled(layers.ConvLSTM1D, ["kernel", "recurrent", "bias"], 2, 2, return_sequences=True, activity_regularizer=penalty()),
    "RNN": lambda: layers.RNN(layers.StackedRNNCells([ruled(layers.LSTMCell, ["kernel", "recurrent", "bias"], 2), ruled(layers.GRUCell, ["kernel", "recurrent", "bias"], 2)]), return_sequences=True, activity_regularizer=penalty()),
    "Bidirectional": lambda: layers.Bidirectional(ruled(layers.LSTM, ["kernel", "recurrent", "bias"], 2, return_sequences=True, activity_regularizer=penalty())),
}


def trained(name):
    keras.backend.clear_session()
    layer = TRAINED[name]()
    batch = size(2, 4)
    indices = name == "Embedding"
    shape = (5,) if indices else (3, 4, 2) if name == "ConvLSTM1D" else (4, 3)
    x = random.integers(0, 6, (batch, *shape)) if indices else draw((batch, *shape))
    if name in ("MultiHeadAttention", "GroupQueryAttention"):
        start = keras.Input(shape)
        middle = layer(start, start)
        model = keras.Model(start, layers.Dense(1)(layers.Flatten()(middle)))
    else:
        # Without the mask that Keras loses here and there: flattening ends it.
        model = keras.Sequential([keras.Input(shape, dtype="int32" if indices else None), layer, layers.Flatten(), layers.Dense(1)])
    settle(model)
    y = draw((batch, 1))
    model.compile(optimizer=keras.optimizers.SGD(0.0625), loss="mse")
    weights = [stored(w) for w in model.get_weights()]
    config = plain(model.get_config())
    kind = {"module": "keras", "class_name": model.__class__.__name__, "config": config}
    losses = [float(model.train_on_batch(x, y)) for _ in range(3)]
    return {
        "name": name,
        "config": kind,
        "x": {"shape": list(x.shape), "ids": x.ravel().tolist()} if indices else stored(x),
        "y": stored(y),
        "weights": weights,
        "losses": [float(f"{v:.9g}") for v in losses],
        "after": [precise(w) for w in model.get_weights()],
    }


cases, models, faults = [], [], []
ONLY = sys.argv[4] if len(sys.argv) > 4 else None
for turn in range(ROUNDS):
    for name, build in DRAWN.items():
        if ONLY is not None and ONLY not in name:
            continue
        keras.backend.clear_session()
        # Keras itself fails on some of what is drawn (a mask for layers of layers of steps): then another one is.
        for attempt in range(5):
            try:
                cases.append(record(f"{name} {turn}", build()))
                break
            except Exception as error:
                faults.append(f"{name} {turn}: {type(error).__name__} {str(error)[:300]}")
    for name in TRAINED:
        if ONLY is not None and ONLY not in name:
            continue
        models.append(trained(name))
lines = ",\n".join(json.dumps(c) for c in cases)
FILE.write_text(
    '{"seed": %d, "unit": %d, "keras": "%s", "layers": [\n%s\n], "training": [\n%s\n]}\n'
    % (SEED, UNIT, keras.__version__, lines, ",\n".join(json.dumps(c) for c in models))
)
print(len(cases), "cases,", len(models), "models", *faults, sep="\n")
