"""Operations of `keras.ops` among the layers of a model: for each, Keras 3's configuration of a model of it, and what the model gives, in float64
on JAX, with the gradient of sum(y * g) for its inputs.

Run:  KERAS_BACKEND=jax python test/golden/keras-operations.py       writes keras-operations.json beside this file
"""

import json
import os
import pathlib

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_ENABLE_X64"] = "1"

import jax
import keras
import numpy as np
from keras import ops
from keras.src.backend.common import dtypes

jax.config.update("jax_enable_x64", True)
keras.config.set_floatx("float64")
dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
random = np.random.default_rng(5)
SHAPE = (3, 4)
ONE = {
    "add": lambda x: ops.add(x, 1.5), "radd": lambda x: 2.0 - x, "divide": lambda x: 1.0 / (ops.square(x) + 1.0), "power": lambda x: ops.power(ops.square(x) + 1.0, 1.5),
    "array": lambda x: ops.add(x, np.arange(4.0)), "floor divide": lambda x: x - ops.floor_divide(x, 0.5), "mod": lambda x: ops.mod(x, 0.75),
    "negative": ops.negative, "absolute": ops.absolute, "sign": lambda x: x * ops.sign(x), "sqrt": lambda x: ops.sqrt(ops.square(x) + 1.0),
    "rsqrt": lambda x: ops.rsqrt(ops.square(x) + 1.0), "reciprocal": lambda x: ops.reciprocal(ops.square(x) + 1.0), "exp": ops.exp, "expm1": ops.expm1,
    "log": lambda x: ops.log(ops.square(x) + 1.0), "log1p": lambda x: ops.log1p(ops.square(x)), "tanh": ops.tanh, "sin": ops.sin, "cos": ops.cos, "erf": ops.erf,
    "floor": lambda x: x - ops.floor(x), "ceil": lambda x: x - ops.ceil(x), "round": lambda x: x - ops.round(x), "relu": ops.relu, "relu6": lambda x: ops.relu6(x * 5.0),
    "sigmoid": ops.sigmoid, "softplus": ops.softplus, "softsign": ops.softsign, "silu": ops.silu, "elu": ops.elu, "selu": ops.selu, "gelu": lambda x: ops.gelu(x, approximate=False),
    "gelu approximate": lambda x: ops.gelu(x), "leaky relu": lambda x: ops.leaky_relu(x, 0.1), "hard sigmoid": ops.hard_sigmoid, "hard silu": ops.hard_silu,
    "hard tanh": ops.hard_tanh, "log sigmoid": ops.log_sigmoid, "tanh shrink": ops.tanh_shrink, "sparse plus": ops.sparse_plus,
    "softmax": ops.softmax, "log softmax": ops.log_softmax, "sum": lambda x: ops.sum(x, axis=1), "mean": lambda x: ops.mean(x, axis=-1, keepdims=True), "max": lambda x: ops.max(x, axis=1),
    "min": lambda x: ops.min(x, axis=(1, 2)), "var": lambda x: ops.var(x, axis=1), "std": lambda x: ops.std(x, axis=-1, keepdims=True), "logsumexp": lambda x: ops.logsumexp(x, axis=-1),
    "normalize": lambda x: ops.normalize(x, axis=-1), "cumsum": lambda x: ops.cumsum(x, axis=1), "reshape": lambda x: ops.reshape(x, (-1, 4, 3)), "transpose": lambda x: ops.transpose(x, (0, 2, 1)),
    "expand dims": lambda x: ops.expand_dims(x, 1), "squeeze": lambda x: ops.squeeze(ops.expand_dims(x, 2), 2), "flip": lambda x: ops.flip(x, 1), "swapaxes": lambda x: ops.swapaxes(x, 1, 2),
    "moveaxis": lambda x: ops.moveaxis(x, 1, -1), "tile": lambda x: ops.tile(x, (1, 2, 1)), "repeat": lambda x: ops.repeat(x, 2, axis=1), "split": lambda x: ops.split(x, 2, axis=-1)[1],
    "item": lambda x: x[:, 1], "slices": lambda x: x[:, 1:, ::2], "new axis": lambda x: x[:, None], "ellipsis": lambda x: x[..., -1], "take": lambda x: ops.take(x, np.array([2, 0]), axis=1),
    "clip": lambda x: ops.clip(x, -0.5, 0.5), "where": lambda x: ops.where(x > 0, x, 0.1), "stack": lambda x: ops.stack([x, ops.tanh(x)], axis=1), "concatenate": lambda x: ops.concatenate([x, x * x], axis=-1),
    "stop gradient": lambda x: x * ops.stop_gradient(x), "cast": lambda x: x * ops.cast(x > 0, "float64"),
}
TWO = {
    "add of two": ops.add, "subtract": ops.subtract, "multiply": ops.multiply, "maximum": ops.maximum, "minimum": ops.minimum, "divide no nan": lambda x, y: ops.divide_no_nan(x, ops.relu(y) + ops.relu(-y)),
    "matmul": lambda x, y: ops.matmul(x, ops.transpose(y, (0, 2, 1))), "einsum": lambda x, y: ops.einsum("btf,bsf->bts", x, y), "logical": lambda x, y: ops.where(ops.logical_and(x > 0, y > 0), x, y),
}
cases = []
for name, function in {**ONE, **TWO}.items():
    keras.backend.clear_session()
    inputs = [keras.Input(SHAPE) for _ in range(2 if name in TWO else 1)]
    model = keras.Model(inputs, function(*inputs))
    xs = [np.round(random.normal(size=(2, *SHAPE)) * 256 + 0.5) / 256 - 1 / 512 for _ in inputs]
    y = np.asarray(model(xs if len(xs) > 1 else xs[0]))
    g = np.round(random.normal(size=y.shape) * 256) / 256
    found = jax.grad(lambda xs: (model(xs if len(xs) > 1 else xs[0]) * g).sum())([jax.numpy.asarray(x) for x in xs])
    stored = lambda a: {"shape": list(np.shape(a)), "data": [float(f"{v:.9g}") for v in np.asarray(a).ravel()]}
    cases.append({"name": name, "config": json.loads(model.to_json()), "x": [stored(x) for x in xs], "y": stored(y), "g": stored(g), "gradients": [stored(d) for d in found]})
lines = ",\n".join(json.dumps(c) for c in cases)
pathlib.Path(__file__).with_suffix(".json").write_text('{"keras": "%s", "cases": [\n%s\n]}\n' % (keras.__version__, lines))
print(len(cases))
