"""Training and inference of Keras, on the backend that is set when this is loaded. Reads a JSON object per line, answers with one:
milliseconds per step of one `fit` (or `predict`) over `steps` batches, whose data is made beforehand.

{"kind": "lstm", "batch": 32, "time": 100, "features": 128, "units": 128, "work": "train", "steps": 5}
Training is forward, mean squared error of the whole output sequence, backward and Adam.
"""
import json
import sys
import time

import keras
import numpy as np

layers = keras.layers
current = (None, None)


def build(kind, time_steps, features, units):
    keras.utils.set_random_seed(0)
    lstm = lambda: layers.LSTM(units, return_sequences=True)
    stack = {
        "lstm": lambda: [lstm()],
        "gru": lambda: [layers.GRU(units, return_sequences=True)],
        "simple-rnn": lambda: [layers.SimpleRNN(units, return_sequences=True)],
        "bidirectional": lambda: [layers.Bidirectional(lstm())],
        "two-layer": lambda: [lstm(), lstm()],
    }[kind]()
    model = keras.Sequential([layers.Input((time_steps, features)), *stack])
    model.compile("adam", "mse")
    return model


def prepare(order):
    """The model of the last order is kept, so that the rounds of a point compile once."""
    global current
    key = tuple(order[k] for k in ("kind", "batch", "time", "features", "units"))
    if current[0] != key:
        current = (None, None)
        keras.backend.clear_session()
        current = (key, build(order["kind"], order["time"], order["features"], order["units"]))
    return current[1]


def measure(order):
    model = prepare(order)
    generator = np.random.default_rng(0)
    rows = order["batch"] * order["steps"]
    x = generator.standard_normal((rows, order["time"], order["features"]), dtype=np.float32)
    if order["work"] == "infer":
        started = time.perf_counter()
        model.predict(x, batch_size=order["batch"], verbose=0)
    else:
        y = generator.random((rows, order["time"], model.output_shape[-1]), dtype=np.float32)
        started = time.perf_counter()
        model.fit(x, y, batch_size=order["batch"], shuffle=False, verbose=0)
    return 1000 * (time.perf_counter() - started) / order["steps"]


def serve(backend_version):
    print(json.dumps({"version": f"{keras.__version__}, {keras.backend.backend()} {backend_version}"}), flush=True)
    for line in sys.stdin:
        print(json.dumps({"milliseconds": measure(json.loads(line))}), flush=True)
