"""Batch renormalisation of Keras 3 on JAX in float64: losses of three steps of SGD, all weights after them, and the prediction then.

Run:  KERAS_BACKEND=jax python test/golden/batch-renormalization.py       writes batch-renormalization.json beside this file
"""

import json
import os
import pathlib

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_ENABLE_X64"] = "1"

import keras
import numpy as np
from keras import layers
from keras.src.backend.common import dtypes

keras.config.set_floatx("float64")
dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
random = np.random.default_rng(3)
UNIT = 1024
draw = lambda shape: np.round(random.normal(size=shape) * UNIT) / UNIT
stored = lambda x: {"shape": list(np.shape(x)), "units": [int(v) for v in np.round(np.asarray(x) * UNIT).ravel()]}
precise = lambda x: {"shape": list(np.shape(x)), "data": [float(f"{v:.9g}") for v in np.asarray(x).ravel()]}
CASES = {
    "without limits": dict(momentum=0.5, renorm=True, renorm_momentum=0.75),
    "with limits": dict(momentum=0.75, renorm=True, renorm_clipping={"rmax": 1.25, "rmin": 0.75, "dmax": 0.5}, epsilon=0.01),
    "one limit, without scale and offset": dict(momentum=0.5, renorm=True, renorm_clipping={"dmax": 0.25}, scale=False, center=False),
    "under a mask": dict(momentum=0.5, renorm=True, renorm_momentum=0.5),
}
cases = []
for name, options in CASES.items():
    keras.backend.clear_session()
    masked = [layers.Masking()] if "mask" in name else []
    model = keras.Sequential([layers.Input((4, 3)), *masked, layers.BatchNormalization(**options), layers.Flatten(), layers.Dense(1)])
    for weight in model.weights:
        weight.assign(np.abs(draw(weight.shape)) + 0.25 if "variance" in weight.path or "stddev" in weight.path else draw(weight.shape))
    x, y = draw((5, 4, 3)), draw((5, 1))
    if masked:
        x[:, 2:] *= (random.random((5, 2, 1)) < 0.5)
    weights = [stored(w) for w in model.get_weights()]
    model.compile(optimizer=keras.optimizers.SGD(0.0625), loss="mse")
    losses = [float(f"{model.train_on_batch(x, y):.9g}") for _ in range(3)]
    after = [precise(w) for w in model.get_weights()]
    cases.append({"name": name, "config": json.loads(model.to_json()), "x": stored(x), "y": stored(y), "weights": weights, "losses": losses, "after": after, "prediction": precise(model.predict(x, verbose=0))})
lines = ",\n".join(json.dumps(c) for c in cases)
pathlib.Path(__file__).with_suffix(".json").write_text('{"keras": "%s", "unit": %d, "cases": [\n%s\n]}\n' % (keras.__version__, UNIT, lines))
