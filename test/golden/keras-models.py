"""Golden models of Keras 3: configuration, weights, predictions, loss, gradients, training steps and summary.

Every case is a small Sequential model. Its configuration and summary come from Keras as it stands (float32); its numbers come from the
same model in float64 on JAX, so that they can be compared closely. Each configuration is also written in the style of Keras 2 (no modules,
batch_input_shape, time_major, implementation, no backward_layer), from which the same numbers must follow.

Run:  KERAS_BACKEND=jax python test/golden/keras-models.py      writes keras-models.json beside this file (needs keras 3 and jax)
Inputs and weights are multiples of 1/1024, so that they are the same numbers in float32; the file holds them as integers ("units").
Weights after training are held as their difference from the weights before ("change"). Keras 3 takes the mask of a prediction into its
loss and leaves it out of its metrics; here, as in Keras 2, the accuracy too is that of the valid steps.
"""

import copy
import json
import os
import pathlib

os.environ["KERAS_BACKEND"] = "jax"
import jax

jax.config.update("jax_enable_x64", True)
import keras
import numpy as np
from keras import layers, losses, optimizers
from keras.src.backend.common import dtypes

UNIT = 1024
STEPS = 3


def use_floats(dtype):
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = dtype  # Keras narrows results to float32 on JAX, whatever the policy
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    keras.utils.clear_session()


def hard_sigmoid_of_keras_2(x):
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


class Case:
    """One model. `build` returns its layers; `x` and `y` are drawn by `random`; loss None: predictions only."""

    def __init__(
        self, name, build, x, y=None, loss=None, optimizer=None, metrics=None, weight=None, keras2=True, listed=True
    ):
        self.name, self.build, self.x, self.y = name, build, x, y
        self.loss, self.optimizer, self.metrics = loss, optimizer, metrics
        self.weight, self.keras2, self.listed = weight, keras2, listed


def words(batch, length, vocabulary, padding=None, empty=()):
    def draw(random):
        ids = random.integers(1, vocabulary, size=(batch, length))
        for b in range(batch):
            n = int(random.integers(1, length + 1))
            if padding == "left":
                ids[b, : length - n] = 0
            elif padding == "right":
                ids[b, n:] = 0
            elif padding == "holes":
                ids[b, random.random(length) < 0.4] = 0
        for b in empty:
            ids[b] = 0
        return ids.astype("int32")

    return draw


def numbers(*shape):
    return lambda random: np.round(random.normal(size=shape) * UNIT) / UNIT


def labels(classes, *shape):
    return lambda random: random.integers(0, classes, size=shape).astype("int32")


def zeros_and_ones(*shape):
    return lambda random: random.integers(0, 2, size=shape).astype("float64")


def one_hot(classes, *shape):
    return lambda random: np.eye(classes)[random.integers(0, classes, size=shape)]


def positive(*shape):
    return lambda random: np.round((random.random(size=shape) + 0.25) * UNIT) / UNIT


def embedding(vocabulary, dimensions, mask=True):
    return layers.Embedding(vocabulary, dimensions, mask_zero=mask)


BINARY = lambda: losses.BinaryCrossentropy()
SPARSE = lambda: losses.SparseCategoricalCrossentropy()
SQUARED = lambda: losses.MeanSquaredError()
ADAM = lambda: optimizers.Adam()
RMSPROP = lambda: optimizers.RMSprop()
SGD = lambda: optimizers.SGD(learning_rate=0.1)


def merge_case(mode, inner, sequences):
    def build():
        head = [layers.Dense(4, activation="softmax")] if sequences else [layers.Dense(1, activation="sigmoid")]
        return [
            layers.Input((6,), dtype="int32"),
            embedding(20, 5),
            layers.Bidirectional(inner(4, return_sequences=sequences), merge_mode=mode),
            *head,
        ]

    y = labels(4, 5, 6) if sequences else zeros_and_ones(5, 1)
    padding = "right" if sequences else "left"
    name = f"bidirectional {inner.__name__} {mode}{' sequences' if sequences else ''}, {padding} padding"
    return Case(name, build, words(5, 6, 20, padding), y, SPARSE if sequences else BINARY, ADAM, ["accuracy"])


CASES = [
    Case(
        "SimpleRNN(3) on (2, 10), 42 parameters",
        lambda: [layers.Input((2, 10)), layers.SimpleRNN(3)],
        numbers(5, 2, 10),
        numbers(5, 3),
        SQUARED,
        SGD,
        ["mae"],
    ),
    Case(
        "SimpleRNN with a fixed batch",
        lambda: [layers.Input(batch_shape=(8, 2, 10)), layers.SimpleRNN(3)],
        numbers(8, 2, 10),
        numbers(8, 3),
        SQUARED,
        ADAM,
    ),
    Case(
        "SimpleRNN with a fixed batch, sequences",
        lambda: [layers.Input(batch_shape=(8, 2, 10)), layers.SimpleRNN(3, return_sequences=True)],
        numbers(8, 2, 10),
        numbers(8, 2, 3),
        lambda: losses.MeanAbsoluteError(),
        RMSPROP,
    ),
    Case(
        "Embedding(10, 5) and SimpleRNN(3)",
        lambda: [layers.Input((7,), dtype="int32"), embedding(10, 5, False), layers.SimpleRNN(3)],
        words(3, 7, 10),
        numbers(3, 3),
        SQUARED,
        ADAM,
    ),
    Case(
        "Embedding(256, 100), SimpleRNN(20), Dense(10), 28,230 parameters",
        lambda: [
            layers.Input((None,), dtype="int32"),
            embedding(256, 100, False),
            layers.SimpleRNN(20),
            layers.Dense(10, activation="softmax"),
        ],
        words(2, 3, 256),
        labels(10, 2),
        SPARSE,
        SGD,
        ["accuracy"],
    ),
    Case(
        "reviews: Embedding, LSTM, Dense(sigmoid), left padding, no InputLayer given",
        lambda: [embedding(30, 8), layers.LSTM(6), layers.Dense(1, activation="sigmoid")],
        words(7, 11, 30, "left"),
        zeros_and_ones(7, 1),
        BINARY,
        RMSPROP,
        ["accuracy"],
        listed=False,
    ),
    Case(
        "reviews: GRU, right padding, sample weights",
        lambda: [
            layers.Input((None,), dtype="int32"),
            embedding(30, 8),
            layers.GRU(5),
            layers.Dense(1, activation="sigmoid"),
        ],
        words(7, 11, 30, "right"),
        zeros_and_ones(7, 1),
        BINARY,
        ADAM,
        weight=positive(7),
    ),
    Case(
        "reviews: GRU without reset_after, holes",
        lambda: [
            layers.Input((9,), dtype="int32"),
            embedding(20, 4),
            layers.GRU(5, reset_after=False),
            layers.Dense(1, activation="sigmoid"),
        ],
        words(5, 9, 20, "holes"),
        zeros_and_ones(5, 1),
        BINARY,
        ADAM,
        ["accuracy"],
    ),
    Case(
        "reviews: SimpleRNN, rows without a word",
        lambda: [
            layers.Input((6,), dtype="int32"),
            embedding(20, 4),
            layers.SimpleRNN(5),
            layers.Dense(1, activation="sigmoid"),
        ],
        words(5, 6, 20, "left", empty=(0, 3)),
        zeros_and_ones(5, 1),
        BINARY,
        SGD,
        ["accuracy"],
    ),
    Case(
        "three stacked cells under one mask",
        lambda: [
            layers.Input((8,), dtype="int32"),
            embedding(20, 4),
            layers.LSTM(5, return_sequences=True),
            layers.GRU(4, return_sequences=True),
            layers.SimpleRNN(3),
            layers.Dense(3, activation="softmax"),
        ],
        words(5, 8, 20, "left"),
        labels(3, 5),
        SPARSE,
        ADAM,
        ["accuracy"],
    ),
    Case(
        "tagger: LSTM sequences, Dense softmax, loss under the mask",
        lambda: [
            layers.Input((7,), dtype="int32"),
            embedding(20, 4),
            layers.LSTM(5, return_sequences=True),
            layers.Dense(4, activation="softmax"),
        ],
        words(5, 7, 20, "right", empty=(2,)),
        labels(4, 5, 7),
        SPARSE,
        ADAM,
        ["accuracy"],
    ),
    Case(
        "many to many without a mask, logits",
        lambda: [layers.Input((7, 3)), layers.GRU(5, return_sequences=True), layers.Dense(4)],
        numbers(3, 7, 3),
        labels(4, 3, 7),
        lambda: losses.SparseCategoricalCrossentropy(from_logits=True),
        RMSPROP,
        ["accuracy"],
    ),
    Case(
        "many to one, one-hot labels",
        lambda: [layers.Input((None, 4)), layers.LSTM(5), layers.Dense(3, activation="softmax")],
        numbers(6, 5, 4),
        one_hot(3, 6),
        lambda: losses.CategoricalCrossentropy(),
        lambda: optimizers.SGD(learning_rate=0.05, momentum=0.9),
        ["accuracy"],
    ),
    Case(
        "one-hot labels, logits",
        lambda: [layers.Input((5, 2)), layers.SimpleRNN(5), layers.Dense(3)],
        numbers(4, 5, 2),
        one_hot(3, 4),
        lambda: losses.CategoricalCrossentropy(from_logits=True),
        lambda: optimizers.SGD(learning_rate=0.05, momentum=0.9, nesterov=True),
    ),
    Case(
        "binary logits, several outputs",
        lambda: [layers.Input((5, 2)), layers.GRU(5), layers.Dense(3)],
        numbers(4, 5, 2),
        zeros_and_ones(4, 3),
        lambda: losses.BinaryCrossentropy(from_logits=True),
        lambda: optimizers.RMSprop(learning_rate=0.003, rho=0.8, momentum=0.5),
    ),
    Case(
        "regression on a sequence, sample weights a step",
        lambda: [layers.Input((5, 2)), layers.LSTM(4, return_sequences=True), layers.Dense(1)],
        numbers(3, 5, 2),
        numbers(3, 5, 1),
        SQUARED,
        lambda: optimizers.Adam(learning_rate=0.01, beta_1=0.8, beta_2=0.95, epsilon=1e-5),
        ["mae"],
        weight=positive(3, 5),
    ),
    Case(
        "two dense layers",
        lambda: [layers.Input((7,)), layers.Dense(6, activation="relu"), layers.Dense(2)],
        numbers(5, 7),
        numbers(5, 2),
        lambda: losses.MeanAbsoluteError(),
        SGD,
        ["mae"],
    ),
    merge_case("concat", layers.LSTM, False),
    merge_case("concat", layers.LSTM, True),
    merge_case("sum", layers.GRU, True),
    merge_case("mul", layers.SimpleRNN, False),
    merge_case("mul", layers.LSTM, True),
    merge_case("ave", layers.GRU, False),
    Case(
        "two bidirectional layers under one mask, holes",
        lambda: [
            layers.Input((6,), dtype="int32"),
            embedding(20, 4),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
            layers.Bidirectional(layers.GRU(3), merge_mode="sum"),
            layers.Dense(1, activation="sigmoid"),
        ],
        words(5, 6, 20, "holes"),
        zeros_and_ones(5, 1),
        BINARY,
        RMSPROP,
        ["accuracy"],
    ),
    Case(
        "bidirectional without a mask, its own backward layer",
        lambda: [
            layers.Input((6, 3)),
            layers.Bidirectional(
                layers.LSTM(4, return_sequences=True),
                backward_layer=layers.GRU(4, return_sequences=True, go_backwards=True),
            ),
            layers.LSTM(3, go_backwards=True),
        ],
        numbers(3, 6, 3),
        numbers(3, 3),
        SQUARED,
        ADAM,
        keras2=False,
    ),
    Case(
        "go_backwards under a mask",
        lambda: [
            layers.Input((6,), dtype="int32"),
            embedding(20, 4),
            layers.GRU(4, go_backwards=True),
            layers.Dense(2, activation="tanh"),
        ],
        words(5, 6, 20, "right"),
        numbers(5, 2),
        SQUARED,
        ADAM,
    ),
    Case(
        "dropout at inference",
        lambda: [
            layers.Input((6,), dtype="int32"),
            embedding(20, 5),
            layers.Dropout(0.5),
            layers.LSTM(4, dropout=0.3, recurrent_dropout=0.2, return_sequences=True),
            layers.Bidirectional(layers.GRU(3, dropout=0.4)),
            layers.Dropout(0.25),
            layers.Dense(3, activation="softmax"),
        ],
        words(5, 6, 20, "left"),
    ),
    Case(
        "dropout of rate 0, no bias, other activations",
        lambda: [
            layers.Input((5, 3)),
            layers.Dropout(0.0),
            layers.LSTM(4, use_bias=False, activation="relu", return_sequences=True, unit_forget_bias=False),
            layers.SimpleRNN(4, activation="sigmoid", return_sequences=True),
            layers.GRU(3, activation="linear", use_bias=False),
            layers.Dense(2, activation="softplus", use_bias=False),
        ],
        numbers(4, 5, 3),
        numbers(4, 2),
        SQUARED,
        ADAM,
    ),
    Case(
        "hard_sigmoid, which differs between Keras 2 and 3",
        lambda: [
            layers.Input((5, 3)),
            layers.LSTM(4, recurrent_activation="hard_sigmoid", return_sequences=True),
            layers.GRU(3, recurrent_activation="hard_sigmoid"),
        ],
        numbers(4, 5, 3),
    ),
]


# The style of Keras 2.

DROPPED = {
    "module",
    "registered_name",
    "build_config",
    "build_input_shape",
    "optional",
    "zero_output_for_mask",
    "quantization_config",
    "input_axes",
    "output_axes",
}


def plain_object(value):
    """Serialised initialisers and policies as Keras 2 wrote them."""
    if isinstance(value, dict):
        if value.get("class_name") == "DTypePolicy":
            return value["config"]["name"]
        return {k: plain_object(v) for k, v in value.items() if k not in DROPPED}
    return [plain_object(v) for v in value] if isinstance(value, list) else value


def recurrent_of_keras_2(layer):
    config = layer["config"]
    config.pop("seed", None)
    config["time_major"] = False
    if layer["class_name"] != "SimpleRNN":
        config["implementation"] = 2


def config_of_keras_2(config, input_shape, keep_input_layer):
    model = plain_object(copy.deepcopy(config))
    listed = [layer for layer in model["config"]["layers"] if layer["class_name"] != "InputLayer"]
    for layer in listed:
        inner = layer
        if layer["class_name"] == "Bidirectional":
            layer["config"].pop("backward_layer")
            inner = layer["config"]["layer"]
            inner["config"]["name"] = inner["config"]["name"].removeprefix("forward_")
        if inner["class_name"] in ("SimpleRNN", "LSTM", "GRU"):
            recurrent_of_keras_2(inner)
        elif inner["class_name"] == "Embedding":
            inner["config"]["input_length"] = input_shape[1]
            inner["config"]["activity_regularizer"] = None
        elif inner["class_name"] == "Dropout":
            inner["config"]["noise_shape"] = None
        layer["config"]["trainable"] = True
    first = listed[0]
    if keep_input_layer:
        dtype = "int32" if first["class_name"] == "Embedding" else "float32"
        name = f"{first['config']['name']}_input"
        entry = {"batch_input_shape": input_shape, "dtype": dtype, "sparse": False, "ragged": False, "name": name}
        listed.insert(0, {"class_name": "InputLayer", "config": entry})
    else:
        first["config"]["batch_input_shape"] = input_shape
    return {
        "class_name": "Sequential",
        "config": {"name": model["config"]["name"], "layers": listed},
        "keras_version": "2.11.0",
        "backend": "tensorflow",
    }


def optimizer_of_keras_2(optimizer):
    """As training_config of an .h5 file holds it."""
    config = optimizer.get_config()
    kept = ("name", "learning_rate", "beta_1", "beta_2", "epsilon", "amsgrad", "momentum", "nesterov", "rho", "centered")
    return {"class_name": type(optimizer).__name__, "config": {**{k: config[k] for k in kept if k in config}, "decay": 0.0}}


def loss_of_keras_2(loss):
    config = loss.get_config()
    kept = {k: config[k] for k in ("name", "from_logits") if k in config}
    return {"class_name": type(loss).__name__, "config": {"reduction": "auto", **kept}}


# Numbers.


def rounded(values):
    return np.round(np.asarray(values, "float64") * UNIT) / UNIT


def exact(values):
    scaled = np.asarray(values, "float64") * UNIT
    whole = np.round(scaled).astype(int)
    assert (whole == scaled).all()
    return {"shape": list(values.shape), "units": whole.ravel().tolist()}


def integers(values):
    return {"shape": list(values.shape), "ids": values.ravel().tolist()}


def precise(values):
    values = np.asarray(values)
    assert values.dtype == np.float64
    return {"shape": list(values.shape), "data": [0 if v == 0 else v for v in values.ravel().tolist()]}


def table_of(model):
    pieces = []
    model.summary(line_length=80, print_fn=lambda text, line_break=True: pieces.append(text))
    return "".join(pieces)


def built(case, x):
    model = keras.Sequential(case.build(), name="sequential")
    if not model.built:
        model.build((None, *x.shape[1:]))
    return model


def weights_for(model, random):
    """Random weights of the size that keeps the layers off saturation."""
    out = []
    for w in model.get_weights():
        scale = 0.3 if w.ndim == 1 or w.shape[0] == 2 else 1 / np.sqrt(w.shape[0])
        if w.ndim == 2 and w.shape[0] >= 10 and "embedding" in model.layers[0].name and not out:
            scale = 0.6
        out.append(rounded(random.normal(size=w.shape) * scale))
    return out


def accuracy_of_valid(model, x, y):
    """Share of right predictions among the steps that the mask of the prediction leaves; None without such a mask."""
    prediction = model(x, training=False)
    mask = getattr(prediction, "_keras_mask", None)
    if mask is None:
        return None
    mask = np.asarray(mask)
    return float((np.asarray(prediction).argmax(-1) == y)[mask].sum() / mask.sum())


def run_case(number, case):
    random = np.random.default_rng(500 + number)
    x = case.x(random)
    y = case.y(random) if case.y else None
    weight = case.weight(random) if case.weight else None

    use_floats("float32")
    model = built(case, x)
    config = json.loads(model.to_json())
    weights = weights_for(model, random)
    result = {
        "name": case.name,
        "config": config,
        "weights": [exact(w) for w in weights],
        "x": integers(x) if x.dtype == np.int32 else exact(x),
        "summary": table_of(model),
        "parameters": model.count_params(),
        "outputShape": list(model.output_shape),
    }
    if case.keras2:
        keep = number % 2 == 0 and case.listed
        result["configKeras2"] = config_of_keras_2(config, list(model.input_shape), keep)
    if case.optimizer:
        model.compile(optimizer=case.optimizer(), loss=case.loss())
        model.optimizer.build(model.trainable_variables)
        result["summaryCompiled"] = table_of(model)

    use_floats("float64")
    model = built(case, x)
    model.set_weights(weights)
    output = np.asarray(model(x, training=False))
    result["output"] = precise(output)
    if "hard_sigmoid" in json.dumps(config):
        for layer in model.layers:
            layer.cell.recurrent_activation = hard_sigmoid_of_keras_2
        result["outputKeras2"] = precise(np.asarray(model(x, training=False)))
        assert np.abs(output - np.asarray(model(x, training=False))).max() > 1e-3
    if not case.loss:
        return result

    model.compile(optimizer=case.optimizer(), loss=case.loss(), metrics=case.metrics)
    state = [v.value for v in model.non_trainable_variables]

    def loss_of(values, features):
        prediction, _ = model.stateless_call(values, state, features, training=False)
        return model.compute_loss(x=features, y=y, y_pred=prediction, sample_weight=weight, training=False)

    values = [jax.numpy.asarray(w) for w in weights]
    if x.dtype == np.int32:
        loss, gradients = jax.value_and_grad(loss_of)(values, x)
    else:
        loss, (gradients, dx) = jax.value_and_grad(loss_of, argnums=(0, 1))(values, jax.numpy.asarray(x))
        result["inputGradient"] = precise(dx)
    result["y"] = integers(y) if y.dtype == np.int32 else exact(y)
    if weight is not None:
        result["sampleWeight"] = exact(weight)
    result["loss"] = float(loss)
    result["gradients"] = [precise(g) for g in gradients]
    result["compile"] = {
        "optimizer": keras.saving.serialize_keras_object(model.optimizer),
        "loss": keras.saving.serialize_keras_object(case.loss()),
        "metrics": case.metrics or [],
    }
    result["compileKeras2"] = {
        "optimizer": optimizer_of_keras_2(model.optimizer),
        "loss": loss_of_keras_2(case.loss()),
        "metrics": case.metrics or [],
    }
    logs = []
    for _ in range(STEPS):
        model.reset_metrics()
        valid = accuracy_of_valid(model, x, y)
        step = model.train_on_batch(x, y, sample_weight=weight, return_dict=True)
        logs.append({k: float(v) for k, v in step.items()})
        if valid is not None and "accuracy" in step:
            logs[-1]["accuracy"] = valid
    assert abs(logs[0]["loss"] - result["loss"]) < 1e-9, (case.name, logs, result["loss"])
    result["steps"] = logs
    result["change"] = [precise(after - before) for after, before in zip(model.get_weights(), weights)]
    return result


def main():
    cases = []
    for number, case in enumerate(CASES):
        cases.append(run_case(number, case))
        print(number, case.name, cases[-1].get("steps", [{}])[0], flush=True)
    path = pathlib.Path(__file__).with_suffix(".json")
    body = ",\n".join(json.dumps(case, separators=(",", ":"), ensure_ascii=False) for case in cases)
    path.write_text(f'{{"unit":{UNIT},"keras":"{keras.__version__}","cases":[\n{body}\n]}}\n')
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
