"""Functional models of Keras 3 on JAX in float64: KERAS_BACKEND=jax python functional.py > functional.json

For each model: its configuration, weights, inputs, outputs, the loss with the gradients of weights and inputs, three steps of training, and
the summary. Weights and inputs are whole numbers of 1/256, exact in float32. Models whose configuration is given in an older generation's words
are rewritten by hand below (`keras2`).
"""
import json
import os

os.environ["KERAS_BACKEND"] = "jax"
import jax

jax.config.update("jax_enable_x64", True)
import keras
import numpy as np
from keras import layers, ops
from keras.src.backend.common import dtypes

dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"  # Keras narrows to float32 on JAX, whatever floatx says
keras.config.set_floatx("float64")
rng = np.random.default_rng(11)
UNIT = 256


def stored(a):
    a = np.asarray(a)
    if a.dtype.kind == "i":
        return {"shape": list(a.shape), "ids": a.ravel().tolist()}
    return {"shape": list(a.shape), "units": np.round(a * UNIT).astype(int).ravel().tolist()}


def precise(a):
    a = np.asarray(a, dtype="float64")
    return {"shape": list(a.shape), "data": a.ravel().tolist()}


def units(shape, scale=1.0):
    return np.round(rng.standard_normal(shape) * scale * UNIT) / UNIT


def ids(shape, below):
    a = rng.integers(1, below, shape)
    for row, length in enumerate(rng.integers(0, shape[1] + 1, shape[0])):
        a[row, length:] = 0
    a[0, : shape[1] // 2] = rng.integers(1, below, shape[1] // 2)
    return a


def encoder_decoder(masked):
    source, target = keras.Input((None,), name="source"), keras.Input((None,), name="target")
    _, h, c = layers.LSTM(5, return_state=True, name="encoder")(layers.Embedding(9, 4, mask_zero=masked, name="source_words")(source))
    y = layers.LSTM(5, return_sequences=True, name="decoder")(layers.Embedding(8, 3, name="target_words")(target), initial_state=[h, c])
    y = layers.Dense(8, activation="softmax", name="word")(y)
    model = keras.Model([source, target], y, name="translator")
    x = [ids((4, 6), 9), rng.integers(0, 8, (4, 5))]
    return model, x, rng.integers(0, 8, (4, 5)), {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}


def two_and_two():
    words, numbers = keras.Input((6,), name="words"), keras.Input((3,), name="numbers")
    h = layers.GRU(4, name="gru")(layers.Embedding(9, 4, mask_zero=True)(words))
    both = layers.Concatenate(name="both")([h, layers.Dense(4, activation="tanh")(numbers)])
    label = layers.Dense(3, activation="softmax", name="label")(both)
    value = layers.Dense(1, name="value")(both)
    model = keras.Model([words, numbers], [label, value], name="two")
    compiled = {
        "loss": {"label": "sparse_categorical_crossentropy", "value": "mean_squared_error"},
        "loss_weights": {"label": 1.0, "value": 0.5},
        "metrics": {"label": ["accuracy"], "value": ["mae"]},
    }
    return model, [ids((5, 6), 9), units((5, 3))], [rng.integers(0, 3, (5,)), units((5, 1))], compiled


def siamese():
    a, b = keras.Input((5, 3), name="a"), keras.Input((7, 3), name="b")
    first = layers.Masking(name="masking")
    shared = layers.Bidirectional(layers.GRU(3), name="shared")
    p, q = shared(first(a)), shared(first(b))
    y = layers.Dense(1, activation="sigmoid")(layers.Multiply()([p, q]))
    x = [units((4, 5, 3)), units((4, 7, 3))]
    x[0][:, 3:] = 0
    x[1][1, :4] = 0
    return keras.Model([a, b], y, name="siamese"), x, rng.integers(0, 2, (4, 1)), {"loss": "binary_crossentropy", "metrics": ["accuracy"]}


def nested():
    inner = keras.Sequential([layers.Input((4, 3)), layers.SimpleRNN(4, return_sequences=True), layers.LSTM(3)], name="encoder")
    z = keras.Input((6,), name="z")
    head = keras.Model(z, [layers.Dense(2, name="p")(z), layers.Dense(2, activation="tanh", name="q")(z)], name="head")
    x = keras.Input((4, 3), name="x")
    p, q = head(layers.Concatenate()([inner(x), inner(ops.flip(x, 1))]))
    model = keras.Model(x, layers.Add()([p, q]), name="outer")
    return model, [units((3, 4, 3))], units((3, 2)), {"loss": "mean_squared_error", "metrics": ["mae"]}


def operations():
    x = keras.Input((4, 6), name="x")
    a = layers.Dense(6, name="a")(x)
    b = ops.tanh(a * 2 + 1) - ops.square(x) / 3
    c = ops.concatenate([b[:, :2], ops.sigmoid(-b)[:, 1:]], axis=1)
    d = ops.reshape(c, (-1, 5, 3, 2))
    e = ops.sum(ops.transpose(d, (0, 2, 1, 3)), axis=-1)
    f = ops.softmax(ops.where(e > 0.5, e, ops.zeros_like(e) - 0.25))
    g = ops.mean(ops.maximum(f, 0.1), axis=1, keepdims=True)
    y = layers.Dense(2, name="y")(ops.squeeze(g, axis=1))
    return keras.Model(x, y, name="operations"), [units((3, 4, 6))], units((3, 2)), {"loss": "mean_squared_error", "metrics": []}


def attention():
    q, v = keras.Input((4, 3), name="q"), keras.Input((None, 3), name="v")
    h = layers.MultiHeadAttention(2, 3, name="heads")(q, v)
    k = layers.Attention(name="plain")([h, v])
    y = layers.Dense(2)(layers.LayerNormalization()(layers.Add()([q, k])))
    return keras.Model([q, v], y, name="attention"), [units((2, 4, 3)), units((2, 5, 3))], units((2, 4, 2)), {"loss": "mean_absolute_error", "metrics": []}


def frozen():
    x = keras.Input((5, 3), name="x")
    h = layers.LSTM(4, return_sequences=True, trainable=False, name="frozen")(x)
    y = layers.TimeDistributed(layers.Dense(2), name="steps")(layers.Concatenate()([x, h]))
    return keras.Model(x, y, name="partly"), [units((3, 5, 3))], units((3, 5, 2)), {"loss": "mean_squared_error", "metrics": ["mae"]}


def explicit_mask():
    x, mask = keras.Input((6, 3), name="x"), keras.Input((6,), name="valid")
    h = layers.GRU(4, return_sequences=True, name="gru")(x, mask=ops.not_equal(mask, 0))
    y = layers.GlobalAveragePooling1D()(layers.Dense(3)(h))
    valid = (rng.random((4, 6)) > 0.4).astype("float64")
    return keras.Model([x, mask], y, name="explicit"), [units((4, 6, 3)), valid], units((4, 3)), {"loss": "mean_squared_error", "metrics": []}


def case(name, built):
    model, x, y, compiled = built
    model.set_weights([units(w.shape, 0.5) for w in model.get_weights()])
    start = model.get_weights()
    summary = []
    model.summary(line_length=108, print_fn=summary.append, show_trainable=True, expand_nested=True)
    outputs = model.predict(x, verbose=0)
    model.compile(optimizer=keras.optimizers.Adam(0.01), **compiled)
    several = isinstance(y, list)
    loss_of = keras.src.trainers.compile_utils.CompileLoss(compiled["loss"], compiled.get("loss_weights"), output_names=model.output_names)

    def loss(trainable, rest, x):
        mapping = list(zip(model.trainable_variables, trainable)) + list(zip(model.non_trainable_variables, rest))
        with keras.StatelessScope(state_mapping=mapping):
            predicted = model(x)
            target = [keras.ops.convert_to_tensor(t) for t in y] if several else keras.ops.convert_to_tensor(y)
            return loss_of(target, predicted)

    values = [v.value for v in model.trainable_variables]
    rest = [v.value for v in model.non_trainable_variables]
    tensors = [jax.numpy.asarray(a, dtype="float64") for a in x]
    total, (weights, inputs) = jax.value_and_grad(loss, argnums=(0, 2))(values, rest, tensors)
    paths = {v.path: g for v, g in zip(model.trainable_variables, weights)}
    gradients = [precise(paths[w.path]) if w.path in paths else None for w in model.weights]
    fed = x if len(x) > 1 else x[0]
    steps = [{k: float(v) for k, v in model.train_on_batch(fed, y, return_dict=True).items()} for _ in range(1)]
    model.set_weights(start)
    model.compile(optimizer=keras.optimizers.Adam(0.01), **compiled)
    for _ in range(3):
        model.train_on_batch(fed, y)
    return {
        "name": name,
        "config": json.loads(model.to_json().replace("float64", "float32")),
        "weights": [stored(w) for w in start],
        "x": [stored(a) for a in x],
        "outputs": [precise(o) for o in (outputs if isinstance(outputs, list) else [outputs])],
        "y": [stored(t) for t in (y if several else [y])],
        "compile": {"loss": compiled["loss"], "metrics": compiled["metrics"], "loss_weights": compiled.get("loss_weights")},
        "loss": float(total),
        "gradients": gradients,
        "inputGradients": [None if a.dtype.kind == "i" else precise(g) for a, g in zip(x, inputs)],
        "step": steps[0],
        "change": [precise(after - before) for after, before in zip(model.get_weights(), start)],
        "summary": "".join(summary),
    }


MODELS = {
    "encoder and decoder, states handed over": encoder_decoder(False),
    "encoder with a mask, states handed over": encoder_decoder(True),
    "two inputs and two outputs": two_and_two(),
    "shared layers": siamese(),
    "models in models": nested(),
    "operations": operations(),
    "attention": attention(),
    "a frozen layer": frozen(),
    "a mask given by hand": explicit_mask(),
}
print(json.dumps({"unit": UNIT, "cases": [case(name, built) for name, built in MODELS.items()]}))
