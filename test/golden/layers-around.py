"""Golden outputs and gradients of the layers around the recurrent ones: Keras 3 on JAX, in float64.

Each case is one layer, built by Keras and written down by Keras's own get_config, called on inputs with masks, with weights and output
gradients drawn here. Recorded: the outputs and the mask of the first, the gradients of sum(output * given gradient) with respect to
trainable weights and inputs, and, in training, the new values of the weights that the layer itself changes.

Inputs, weights and output gradients are multiples of 1/1024, so that they are the same numbers in float32; the file holds them as
integers. Elements that a masked step holds are drawn like all others.

Run:  KERAS_BACKEND=jax python test/golden/layers-around.py       writes layers-around.json beside this file
"""

import json
import os
import pathlib

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_ENABLE_X64"] = "1"

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras import layers
from keras.src import backend
from keras.src.backend.common import dtypes

jax.config.update("jax_enable_x64", True)
keras.config.set_floatx("float64")
# Some operations of Keras on JAX would go back to float32.
dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
UNIT = 1024
random = np.random.default_rng(20240)
cases = []


def draw(shape, scale=1.0):
    return np.round(random.normal(size=shape) * scale * UNIT) / UNIT


def stored(x):
    x = np.asarray(x)
    return {"shape": list(x.shape), "units": [int(v) for v in np.round(x * UNIT).ravel()]}


def precise(x):
    x = np.asarray(x, dtype=np.float64)
    return {"shape": list(x.shape), "data": [float(v) for v in x.ravel()]}


def make_mask(kind, batch, steps):
    """left and right padding, holes, and a row without any valid step."""
    mask = np.ones((batch, steps), dtype=bool)
    for row in range(batch):
        if kind == "right":
            mask[row, random.integers(1, steps + 1) :] = False
        elif kind == "left":
            mask[row, : random.integers(0, steps)] = False
        elif kind in ("holes", "empty"):
            mask[row] = random.random(steps) < 0.6
            mask[row, random.integers(steps)] = True
    if kind == "empty":
        mask[batch - 1] = False
    return mask


def with_mask(x, mask):
    if mask is not None:
        backend.set_keras_mask(x, jnp.asarray(mask))
    return x


def case(name, layer, shapes, masks=None, training=False, call=None, spread=False, same=None, positive_variance=True):
    """spread: the layer takes its inputs as separate arguments; call: further arguments of the call."""
    call = dict(call or {})
    masks = [None if kind is None else make_mask(kind, *shape[:2]) for kind, shape in zip(masks or [None] * len(shapes), shapes)]
    inputs = [draw(shape) for shape in shapes]
    if layer.__class__.__name__ == "Masking":
        for row, mask in zip(inputs[0], make_mask("holes", *shapes[0][:2])):
            row[~mask] = layer.mask_value
    if layer.built is False or not layer.weights:
        if spread:
            layer.build(*shapes)
        elif len(shapes) > 1:
            layer.build([tuple(s) for s in shapes])
        else:
            layer.build(tuple(shapes[0]))
    for weight in layer.weights:
        if "variance" in weight.path or "seed" in weight.path:
            value = np.abs(draw(weight.shape)) + 0.25 if "variance" in weight.path else None
        else:
            value = draw(weight.shape, 0.7)
        if value is not None:
            weight.assign(value)
    weights = [w for w in layer.weights if "seed" not in w.path]

    def run(trainable, xs):
        xs = [with_mask(jnp.asarray(x) + 0, m) for x, m in zip(xs, masks)]
        args = xs if spread else [xs if len(xs) > 1 else xs[0]]
        options = dict(call)
        if layer._call_has_training_arg:
            options["training"] = training
        fixed = [v.value for v in layer.non_trainable_variables]
        # Not stateless_call, which goes past the handling of masks.
        values = [*zip(layer.trainable_variables, trainable), *zip(layer.non_trainable_variables, fixed)]
        with backend.StatelessScope(state_mapping=values) as scope:
            outputs = layer(*args, **options)
        fixed = [v if (v := scope.get_current_value(w)) is not None else w.value for w in layer.non_trainable_variables]
        listed = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        return listed, fixed

    trainable = [v.value for v in layer.trainable_variables]
    outputs, fixed = run(trainable, inputs)
    if not all(y.dtype == jnp.float64 for y in outputs):
        raise TypeError(f"{name}: {[y.dtype for y in outputs]}")
    mask = backend.get_keras_mask(outputs[0])
    given = [draw(y.shape) for y in outputs]

    def loss(trainable, xs):
        return sum((y * g).sum() for y, g in zip(run(trainable, xs)[0], given))

    weight_gradients, input_gradients = jax.grad(loss, argnums=(0, 1))(trainable, [jnp.asarray(x) for x in inputs])
    if not np.all([np.isfinite(g).all() for g in [*outputs, *weight_gradients, *input_gradients]]):
        raise ValueError(f"{name}: not finite")
    changed = {}
    for variable, value in zip(layer.non_trainable_variables, fixed):
        if training and "seed" not in variable.path:
            changed[[w.path for w in weights].index(variable.path)] = precise(value)
    trained = [w.path for w in layer.trainable_variables]
    cases.append(
        {
            "name": name,
            "layer": json.loads(json.dumps(keras.saving.serialize_keras_object(layer))),
            "call": call,
            "training": training,
            # JAX's own attention takes the softmax in float32, whatever comes in.
            "precision": 2e-6 if spread and not layer.dropout and "return_attention_scores" not in call else 1e-9,
            "inputs": [stored(x) for x in inputs],
            "masks": [None if m is None else m.astype(int).tolist() for m in masks],
            "weights": [stored(w.numpy()) for w in weights],
            "outputGradients": [stored(g) for g in given],
            "outputs": [precise(y) for y in outputs],
            "mask": None if mask is None else np.asarray(mask).astype(int).tolist(),
            "weightGradients": [
                precise(weight_gradients[trained.index(w.path)]) if w.path in trained else None for w in weights
            ],
            "inputGradients": [precise(g) for g in input_gradients],
            "updates": changed,
        }
    )


SEQUENCE = (3, 5, 4)

# ---- masks and activations
case("masking", layers.Masking(mask_value=0.5), [SEQUENCE])
for function in ["tanh", "softmax", "gelu", "hard_sigmoid"]:
    case(f"activation {function}", layers.Activation(function), [SEQUENCE], ["holes"])
case("relu", layers.ReLU(), [SEQUENCE], ["right"])
case("relu with all options", layers.ReLU(max_value=1.2, negative_slope=0.2, threshold=0.4), [SEQUENCE])
case("leaky relu", layers.LeakyReLU(negative_slope=0.2), [SEQUENCE], ["left"])
case("elu", layers.ELU(alpha=0.7), [SEQUENCE])
case("prelu", layers.PReLU(), [SEQUENCE], ["right"])
case("prelu shared", layers.PReLU(shared_axes=[1]), [SEQUENCE])
case("softmax", layers.Softmax(), [(3, 6)])
case("softmax with a mask", layers.Softmax(), [(3, 6)], ["holes"])
case("softmax over time", layers.Softmax(axis=1), [SEQUENCE])
case("softmax over two axes", layers.Softmax(axis=[1, 2]), [SEQUENCE])

# ---- noise, which is silent outside training
case("spatial dropout at rest", layers.SpatialDropout1D(0.5), [SEQUENCE], ["right"])
case("gaussian noise at rest", layers.GaussianNoise(0.5), [SEQUENCE], ["left"])
case("gaussian dropout at rest", layers.GaussianDropout(0.5), [SEQUENCE], ["left"])

# ---- normalisation
for training in [False, True]:
    state = "training" if training else "at rest"
    case(f"batch normalisation {state}", layers.BatchNormalization(), [SEQUENCE], training=training)
    for kind in ["left", "right", "holes", "empty"]:
        case(
            f"batch normalisation, mask {kind}, {state}",
            layers.BatchNormalization(momentum=0.8, epsilon=0.01),
            [SEQUENCE],
            [kind],
            training=training,
        )
    case(f"batch normalisation of vectors {state}", layers.BatchNormalization(scale=False), [(6, 3)], training=training)
    case(f"batch normalisation on axis 1 {state}", layers.BatchNormalization(axis=1, center=False), [SEQUENCE], training=training)
frozen = layers.BatchNormalization()
frozen.trainable = False
case("batch normalisation frozen", frozen, [SEQUENCE], training=True)
case("layer normalisation", layers.LayerNormalization(), [SEQUENCE], ["holes"])
case("layer normalisation of two axes", layers.LayerNormalization(axis=[1, 2], epsilon=0.1), [SEQUENCE])
case("layer normalisation of time", layers.LayerNormalization(axis=1, center=False), [SEQUENCE])
case("layer normalisation without gamma", layers.LayerNormalization(scale=False), [(4, 7)])
case("rms normalisation", layers.RMSNormalization(), [SEQUENCE], ["right"])
case("rms normalisation of two axes", layers.RMSNormalization(axis=[1, 2], epsilon=0.1), [SEQUENCE])
case("unit normalisation", layers.UnitNormalization(), [SEQUENCE], ["right"])
case("unit normalisation of time", layers.UnitNormalization(axis=1), [SEQUENCE])
case("group normalisation", layers.GroupNormalization(groups=2), [SEQUENCE], ["right"])
case("instance normalisation", layers.GroupNormalization(groups=-1, scale=False), [SEQUENCE])
case("group normalisation of a picture", layers.GroupNormalization(groups=3, epsilon=0.1), [(2, 3, 4, 6)])

# ---- convolutions
for padding in ["valid", "same", "causal"]:
    case(f"conv1d {padding}", layers.Conv1D(3, 3, padding=padding, activation="tanh"), [(2, 7, 4)], ["right"])
    case(f"conv1d {padding} strides 2", layers.Conv1D(3, 3, strides=2, padding=padding), [(2, 8, 4)])
    case(f"conv1d {padding} strides 3 of 2", layers.Conv1D(2, 2, strides=3, padding=padding), [(2, 10, 3)])
    case(f"conv1d {padding} dilation 2", layers.Conv1D(3, 3, dilation_rate=2, padding=padding, use_bias=False), [(2, 9, 2)])
case("conv1d of one step", layers.Conv1D(5, 1), [(2, 6, 3)])
case("conv1d in groups", layers.Conv1D(6, 3, groups=2, padding="same"), [(2, 6, 4)])
case("conv1d channels first", layers.Conv1D(3, 2, data_format="channels_first"), [(2, 4, 6)])
case("conv2d", layers.Conv2D(3, (2, 3), activation="relu"), [(2, 4, 5, 2)])
case("conv2d same strides", layers.Conv2D(2, 3, strides=(2, 1), padding="same"), [(2, 5, 4, 3)])
case("conv2d dilation", layers.Conv2D(2, 2, dilation_rate=(1, 2)), [(1, 4, 5, 2)])
case("conv2d channels first", layers.Conv2D(2, 2, data_format="channels_first"), [(2, 3, 4, 4)])
case("depthwise conv1d", layers.DepthwiseConv1D(3), [(2, 6, 3)])
case("depthwise conv1d, two filters", layers.DepthwiseConv1D(3, depth_multiplier=2, padding="same", strides=2), [(2, 7, 3)])
case("depthwise conv1d dilation", layers.DepthwiseConv1D(2, dilation_rate=2, activation="tanh"), [(2, 7, 3)])
case("separable conv1d", layers.SeparableConv1D(4, 3), [(2, 6, 3)])
case("separable conv1d same", layers.SeparableConv1D(4, 3, depth_multiplier=2, padding="same", activation="tanh"), [(2, 6, 3)])

# ---- pooling
for padding in ["valid", "same"]:
    for size, strides in [(2, None), (3, 1), (3, 2), (2, 3)]:
        case(f"max pooling {padding} {size} {strides}", layers.MaxPooling1D(size, strides, padding), [(2, 7, 3)])
        case(f"average pooling {padding} {size} {strides}", layers.AveragePooling1D(size, strides, padding), [(2, 7, 3)])
case("max pooling channels first", layers.MaxPooling1D(2, data_format="channels_first"), [(2, 3, 6)])
case("global max pooling", layers.GlobalMaxPooling1D(), [SEQUENCE], ["right"])
case("global max pooling, axis kept", layers.GlobalMaxPooling1D(keepdims=True), [SEQUENCE])
for kind in [None, "left", "right", "holes"]:
    case(f"global average pooling, mask {kind}", layers.GlobalAveragePooling1D(), [SEQUENCE], [kind])
case("global average pooling channels first", layers.GlobalAveragePooling1D("channels_first", keepdims=True), [SEQUENCE])

# ---- shapes
case("flatten", layers.Flatten(), [SEQUENCE], ["right"])
case("flatten channels first", layers.Flatten("channels_first"), [(2, 3, 2, 2)])
case("reshape", layers.Reshape((2, -1)), [SEQUENCE], ["right"])
case("permute", layers.Permute((2, 1)), [SEQUENCE], ["right"])
case("permute of three", layers.Permute((3, 1, 2)), [(2, 3, 4, 5)])
case("repeat vector", layers.RepeatVector(3), [(2, 4)])
case("cropping", layers.Cropping1D((1, 2)), [SEQUENCE], ["right"])
case("cropping at the end", layers.Cropping1D((0, 1)), [SEQUENCE])
case("zero padding", layers.ZeroPadding1D((2, 1)), [SEQUENCE], ["right"])
case("zero padding channels first", layers.ZeroPadding1D(1, data_format="channels_first"), [SEQUENCE])
case("up sampling", layers.UpSampling1D(3), [SEQUENCE], ["right"])

# ---- einsum dense
case("einsum dense", layers.EinsumDense("abc,cd->abd", (None, 6), bias_axes="d", activation="tanh"), [SEQUENCE], ["right"])
case("einsum dense to heads", layers.EinsumDense("btf,fhd->bthd", (None, 2, 3), bias_axes="hd"), [SEQUENCE])
case("einsum dense from heads", layers.EinsumDense("bthd,hdf->btf", (None, 5), bias_axes="f"), [(2, 3, 2, 4)])
case("einsum dense along time", layers.EinsumDense("btf,ts->bsf", (6, 4), bias_axes="s"), [SEQUENCE])
case("einsum dense, own kernel per step", layers.EinsumDense("btf,tfu->btu", (5, 3), bias_axes="tu"), [SEQUENCE])
case("einsum dense, ellipsis in front", layers.EinsumDense("...x,xy->...y", 3, bias_axes="y"), [SEQUENCE])
case("einsum dense, ellipsis at the end", layers.EinsumDense("ab...,bc->ac...", 3, bias_axes="c"), [SEQUENCE])
case("einsum dense, turned", layers.EinsumDense("abc,dc->adb", (2, 5)), [SEQUENCE])
case("einsum dense, elements", layers.EinsumDense("abc,bc->abc", (5, 4)), [SEQUENCE])

# ---- time distributed
case("time distributed dense", layers.TimeDistributed(layers.Dense(3, activation="tanh")), [SEQUENCE], ["holes"])
case("time distributed conv1d", layers.TimeDistributed(layers.Conv1D(3, 2)), [(2, 3, 5, 2)])
case("time distributed lstm", layers.TimeDistributed(layers.LSTM(3)), [(2, 3, 4, 2)])
case("time distributed flatten", layers.TimeDistributed(layers.Flatten()), [(2, 3, 4, 2)], ["right"])
case("time distributed batch normalisation", layers.TimeDistributed(layers.BatchNormalization(momentum=0.5)), [SEQUENCE])
case(
    "time distributed batch normalisation training",
    layers.TimeDistributed(layers.BatchNormalization(momentum=0.5)),
    [SEQUENCE],
    training=True,
)
case(
    "time distributed batch normalisation, mask, training",
    layers.TimeDistributed(layers.BatchNormalization(momentum=0.5)),
    [SEQUENCE],
    ["right"],
    training=True,
)

# ---- several inputs
for merge in [layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum]:
    name = merge.__name__.lower()
    case(name, merge(), [SEQUENCE, SEQUENCE])
    case(f"{name}, both masked", merge(), [SEQUENCE, SEQUENCE], ["left", "right"])
    case(f"{name}, one masked", merge(), [SEQUENCE, SEQUENCE], ["holes", None])
    case(f"{name}, the other masked", merge(), [SEQUENCE, SEQUENCE], [None, "empty"])
    case(f"{name} of broadcast shapes", merge(), [(3, 5, 4), (3, 1, 4)])
    if merge is not layers.Subtract:
        case(f"{name} of three", merge(), [SEQUENCE] * 3, ["holes", "right", "empty"])
case("add of different ranks", layers.Add(), [(3, 5, 4), (3, 4)])
case("concatenate", layers.Concatenate(), [(3, 5, 4), (3, 5, 2)])
case("concatenate, both masked", layers.Concatenate(), [(3, 5, 4), (3, 5, 2)], ["left", "right"])
case("concatenate, one masked", layers.Concatenate(), [(3, 5, 4), (3, 5, 2)], ["left", None])
case("concatenate along time, masked", layers.Concatenate(axis=1), [(3, 5, 4), (3, 2, 4)], ["holes", "right"])
case("concatenate along time, one masked", layers.Concatenate(axis=1), [(3, 5, 4), (3, 2, 4)], [None, "right"])
case("concatenate of three", layers.Concatenate(), [(3, 5, 4), (3, 5, 2), (3, 5, 1)])
case("dot of vectors", layers.Dot(axes=1), [(3, 4), (3, 4)])
case("dot of vectors, cosine", layers.Dot(axes=-1, normalize=True), [(3, 4), (3, 4)])
case("dot of sequences", layers.Dot(axes=2), [(3, 5, 4), (3, 2, 4)], ["right", None])
case("dot over time", layers.Dot(axes=1), [(3, 5, 4), (3, 5, 2)])
case("dot of two axes", layers.Dot(axes=(2, 1), normalize=True), [(3, 2, 5), (3, 5, 4)])
case("dot of a sequence and a vector", layers.Dot(axes=(2, 1)), [(3, 5, 4), (3, 4)])

# ---- attention; a row without a valid key is left out: Keras takes 1e9 from its scores, which rounds differently in float32
QUERY, VALUE = (3, 4, 5), (3, 6, 5)
case("attention", layers.Attention(), [QUERY, VALUE])
case("attention, masks", layers.Attention(use_scale=True), [QUERY, VALUE], ["right", "holes"])
case("attention with keys", layers.Attention(), [QUERY, (3, 6, 2), VALUE], ["empty", "left", None])
case("attention, causal", layers.Attention(), [VALUE, VALUE], call={"use_causal_mask": True})
case("attention, causal and masked", layers.Attention(), [VALUE, VALUE], ["right", "right"], call={"use_causal_mask": True})
case("attention, concat", layers.Attention(score_mode="concat", use_scale=True), [QUERY, VALUE], [None, "holes"])
case("attention, scores", layers.Attention(dropout=0.5), [QUERY, VALUE], ["left", "holes"], call={"return_attention_scores": True})
case("additive attention", layers.AdditiveAttention(), [QUERY, VALUE], ["left", "holes"])
case("additive attention without scale", layers.AdditiveAttention(use_scale=False), [QUERY, VALUE], call={"use_causal_mask": True})

# Sizes of values other than those of keys: JAX's own attention refuses them, so a dropout, silent at rest, chooses the other route.
case("multi-head attention", layers.MultiHeadAttention(2, 3), [QUERY, VALUE], spread=True)
for kind in ["left", "right", "holes", "empty"]:
    case(f"multi-head attention, mask {kind}", layers.MultiHeadAttention(2, 3), [QUERY, VALUE], [kind, kind], spread=True)
case("multi-head attention, value masked", layers.MultiHeadAttention(2, 3), [QUERY, VALUE], [None, "holes"], spread=True)
case("multi-head attention, sizes", layers.MultiHeadAttention(2, 3, value_dim=4, output_shape=7, use_bias=False, dropout=0.1), [QUERY, (3, 6, 2), (3, 6, 3)], [None, "right", "left"], spread=True)
case("multi-head attention, causal", layers.MultiHeadAttention(2, 3), [VALUE, VALUE], spread=True, call={"use_causal_mask": True})
case("multi-head attention, causal and masked", layers.MultiHeadAttention(2, 3), [VALUE, VALUE], ["right", "right"], spread=True, call={"use_causal_mask": True})
case("multi-head attention, window", layers.MultiHeadAttention(2, 3, sliding_window=2), [VALUE, VALUE], spread=True, call={"use_causal_mask": True})
case("multi-head attention, gate", layers.MultiHeadAttention(2, 3, use_gate=True, value_dim=2, dropout=0.1), [QUERY, VALUE], ["right", "left"], spread=True)
case("multi-head attention, scores", layers.MultiHeadAttention(2, 3), [VALUE, VALUE], ["left", "empty"], spread=True, call={"return_attention_scores": True})
case("multi-head attention, dropout at rest", layers.MultiHeadAttention(2, 3, dropout=0.3), [VALUE, VALUE], ["left", "empty"], spread=True)
case("multi-head attention, output of two axes", layers.MultiHeadAttention(2, 3, output_shape=(2, 3), attention_axes=1), [QUERY, VALUE], spread=True)
case("group query attention", layers.GroupQueryAttention(3, 4, 2), [QUERY, VALUE], spread=True)
case("group query attention, masks", layers.GroupQueryAttention(3, 4, 2), [QUERY, VALUE], ["right", "holes"], spread=True)
case("group query attention, causal", layers.GroupQueryAttention(2, 4, 1, use_bias=False), [VALUE, VALUE], [None, "right"], spread=True, call={"use_causal_mask": True})
case("group query attention, gate", layers.GroupQueryAttention(2, 2, 2, use_gate=True), [QUERY, VALUE], spread=True)

# One case a line.
pathlib.Path(__file__).with_suffix(".json").write_text(
    '{"unit": %d, "keras": "%s", "cases": [\n%s\n]}\n' % (UNIT, keras.__version__, ",\n".join(json.dumps(c) for c in cases))
)
print(len(cases), "cases")
