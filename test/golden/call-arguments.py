"""Functional models whose calls say something of their own (causal masks, scores, masks of attention, training, initial states as arrays), and
models as the layer of every step: Keras 3 on JAX in float64. For each the configuration, weights, inputs and outputs, and in training (`training`)
the gradients of sum(y * g) for all weights.

Run:  KERAS_BACKEND=jax python test/golden/call-arguments.py       writes call-arguments.json beside this file
"""

import json
import os
import pathlib

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_ENABLE_X64"] = "1"

import jax
import keras
import numpy as np
from keras import layers, ops
from keras.src.backend.common import dtypes

jax.config.update("jax_enable_x64", True)
keras.config.set_floatx("float64")
dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
random = np.random.default_rng(3)


def units(shape):
    return np.round(random.normal(size=shape) * 256) / 256


def stored(a):
    return {"shape": list(np.shape(a)), "data": [float(f"{v:.9g}") for v in np.asarray(a).ravel()]}


def attention_mask():
    x, allowed = keras.Input((4, 3), name="x"), keras.Input((4, 4), name="allowed")
    heads = layers.MultiHeadAttention(2, 3, name="heads")
    y, scores = heads(x, x, attention_mask=ops.greater(allowed, 0), use_causal_mask=True, return_attention_scores=True)
    mask = (random.random((2, 4, 4)) < 0.6) | np.eye(4, dtype=bool)
    return keras.Model([x, allowed], [y, scores]), [units((2, 4, 3)), mask.astype("float64")]


def attention_mask_and_key():
    q, v, k = keras.Input((3, 3), name="q"), keras.Input((4, 5), name="v"), keras.Input((4, 2), name="k")
    allowed = keras.Input((3, 4), name="allowed")
    y = layers.MultiHeadAttention(2, 3, value_dim=2, dropout=0.1, name="heads")(q, v, key=k, attention_mask=ops.greater(allowed, 0))
    mask = np.ones((2, 3, 4))
    mask[1, 2] = 0
    mask[0, 0, 1:] = 0
    return keras.Model([q, v, k, allowed], y), [units((2, 3, 3)), units((2, 4, 5)), units((2, 4, 2)), mask]


def group_query():
    x, allowed = keras.Input((4, 3), name="x"), keras.Input((4, 4), name="allowed")
    y = layers.GroupQueryAttention(2, 4, 2, name="groups")(x, x, attention_mask=ops.greater(allowed, 0), use_causal_mask=True)
    mask = (random.random((2, 4, 4)) < 0.6) | np.eye(4, dtype=bool)
    return keras.Model([x, allowed], y), [units((2, 4, 3)), mask.astype("float64")]


def two_calls():
    x = keras.Input((4, 3), name="x")
    shared = layers.Attention(use_scale=True, name="shared")
    first = shared([x, x], use_causal_mask=True)
    second = shared([first, x])
    third = layers.AdditiveAttention(name="added")([second, x], use_causal_mask=True)
    return keras.Model(x, third), [units((2, 4, 3))]


def states_as_arrays():
    x = keras.Input((4, 2), name="x")
    h = layers.LSTM(3, return_sequences=True, name="lstm")(x, initial_state=[units((2, 3)), units((2, 3))])
    y = layers.GRU(2, name="gru")(h, initial_state=units((2, 2)))
    return keras.Model(x, y), [units((2, 4, 2))]


def training_given():
    x = keras.Input((3, 2), name="x")
    h = layers.Dropout(0.5)(layers.Dense(3)(x), training=False)
    h = layers.BatchNormalization(momentum=0.5, name="kept")(h, training=False)
    y = layers.BatchNormalization(momentum=0.5, name="batch")(h)
    return keras.Model(x, y), [units((3, 3, 2))]


def model_per_step():
    z = keras.Input((3, 2), name="z")
    inner = keras.Model(z, layers.Dense(2, activation="tanh")(layers.GRU(3)(z)), name="inner")
    x = keras.Input((4, 3, 2), name="x")
    return keras.Model(x, layers.LSTM(2)(layers.TimeDistributed(inner, name="steps")(x))), [units((2, 4, 3, 2))]


def steps_of_steps():
    x = keras.Input((2, 3, 2), name="x")
    y = layers.TimeDistributed(layers.TimeDistributed(layers.Dense(2, activation="tanh")))(x)
    y = layers.TimeDistributed(layers.Bidirectional(layers.LSTM(2, return_sequences=True)))(y)
    return keras.Model(x, y), [units((2, 2, 3, 2))]


MODELS = [attention_mask, attention_mask_and_key, group_query, two_calls, states_as_arrays, training_given, model_per_step, steps_of_steps]
cases = []
for make in MODELS:
    keras.backend.clear_session()
    model, xs = make()
    model.set_weights([np.abs(units(w.shape)) + 0.25 if "variance" in w.path else units(w.shape) for w in model.weights if "seed" not in w.path])
    weights = model.get_weights()
    fed = xs if len(xs) > 1 else xs[0]
    outputs = [np.asarray(y) for y in keras.tree.flatten(model(fed))]
    given = [units(y.shape) for y in outputs]

    def total(trainable):
        fixed = [v.value for v in model.non_trainable_variables]
        with keras.StatelessScope(state_mapping=[*zip(model.trainable_variables, trainable), *zip(model.non_trainable_variables, fixed)]):
            return sum((y * g).sum() for y, g in zip(keras.tree.flatten(model(fed, training=True)), given))

    # The dropout of the one draws in training; for the other Keras 3.15 goes over `training=False` of a call once the model is called in training.
    drop = make in (attention_mask_and_key, training_given)
    found = [] if drop else jax.grad(total)([v.value for v in model.trainable_variables])
    paths = {v.path: g for v, g in zip(model.trainable_variables, found)}
    cases.append({
        "name": make.__name__.replace("_", " "), "config": json.loads(model.to_json()), "weights": [stored(w) for w in weights],
        "x": [stored(x) for x in xs], "outputs": [stored(y) for y in outputs], "given": [stored(g) for g in given],
        "gradients": None if drop else [stored(paths[w.path]) if w.path in paths else None for w in model.weights],
    })
lines = ",\n".join(json.dumps(c) for c in cases)
pathlib.Path(__file__).with_suffix(".json").write_text('{"keras": "%s", "cases": [\n%s\n]}\n' % (keras.__version__, lines))
