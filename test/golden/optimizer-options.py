"""Options of optimizers in Keras 3 on JAX, float64, through fit and train_on_batch: KERAS_BACKEND=jax python optimizer-options.py > optimizer-options.json

A model of an embedding, an LSTM and a dense layer: two epochs of four batches without shuffling, then one batch by train_on_batch. Weights
after both, the averages before the end of fit, and the learning rates and counts that the optimizer reports.
"""
import json
import os

os.environ["KERAS_BACKEND"] = "jax"
import jax

jax.config.update("jax_enable_x64", True)
import keras
import numpy as np
from keras.src.backend.common import dtypes

dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"  # Keras narrows to float32 on JAX, whatever floatx says
keras.config.set_floatx("float64")
rng = np.random.default_rng(5)
x = rng.integers(0, 7, (8, 3))
y = np.round(rng.standard_normal((8, 2)) * 512) / 512  # exact in float32
weights = [np.round(rng.standard_normal(shape) * 256) / 512 for shape in [(7, 2), (2, 8), (2, 8), (8,), (2, 2), (2,)]]
S = keras.optimizers.schedules
CASES = [
    ("Adam", {"learning_rate": 0.05, "use_ema": True, "ema_momentum": 0.8}),
    ("SGD", {"learning_rate": 0.3, "momentum": 0.5, "use_ema": True, "ema_momentum": 0.6, "ema_overwrite_frequency": 3}),
    ("Adam", {"learning_rate": 0.05, "gradient_accumulation_steps": 3, "clipnorm": 0.1}),
    ("RMSprop", {"learning_rate": S.CosineDecay(0.01, 4, alpha=0.1, warmup_target=0.1, warmup_steps=3), "global_clipnorm": 0.2}),
    ("Nadam", {"learning_rate": S.PiecewiseConstantDecay([2, 5], [0.1, 0.05, 0.02]), "gradient_accumulation_steps": 2, "use_ema": True, "ema_momentum": 0.7}),
    ("AdamW", {"learning_rate": 0.05, "weight_decay": 0.5, "exclude": ["bias"], "clipvalue": 0.05}),
    ("Muon", {"learning_rate": 0.05, "exclude_layers": ["dense"]}),
    ("Adafactor", {"learning_rate": 0.2, "loss_scale_factor": 16.0}),
]


def plain(value):
    return S.serialize(value) if isinstance(value, S.LearningRateSchedule) else value


def rounded(values):
    return [[float(f"{v:.11g}") for v in np.asarray(w).ravel()] for w in values]


class Watch(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.averages, self.rates = [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.rates.append(float(np.asarray(self.model.optimizer.learning_rate)))

    def on_train_end(self, logs=None):
        if self.model.optimizer.use_ema:
            self.averages = rounded([v.value for v in self.model.optimizer._model_variables_moving_average])


cases = []
for class_name, config in CASES:
    own = dict(config)
    excluded = own.pop("exclude", None)
    optimizer = getattr(keras.optimizers, class_name)(**own)
    if excluded:
        optimizer.exclude_from_weight_decay(var_names=excluded)
    model = keras.Sequential([keras.Input((3,), dtype="int64"), keras.layers.Embedding(7, 2), keras.layers.LSTM(2), keras.layers.Dense(2)])
    model.compile(optimizer=optimizer, loss="mse", run_eagerly=False, jit_compile=False)
    model.set_weights(weights)
    watch = Watch()
    history = model.fit(x, y, batch_size=2, epochs=2, shuffle=False, verbose=0, callbacks=[watch])
    after = rounded(model.get_weights())
    model.train_on_batch(x[:2], y[:2])
    cases.append({
        "class_name": class_name, "config": {k: plain(v) for k, v in own.items()}, "excluded": excluded, "loss": history.history["loss"],
        "fit": after, "averages": watch.averages, "batch": rounded(model.get_weights()), "iterations": int(optimizer.iterations),
        "parameters": int(sum(np.prod(v.shape) for v in optimizer.variables)),
    })

print(json.dumps({"x": x.tolist(), "y": y.tolist(), "weights": [w.tolist() for w in weights], "cases": cases}))
