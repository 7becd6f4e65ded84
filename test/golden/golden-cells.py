"""Golden outputs and gradients of the three recurrent cells, in NumPy float64 alone.

Each case is one recurrent layer on x[B, T, F] with an optional mask[B, T] (1: use the step) and a given gradient of its output; the
result is the output y and, by backpropagation through time written out by hand, the gradients of the kernel, the recurrent kernel, the
bias and x. Equations and weight layouts are those of Keras:

    SimpleRNN  h' = tanh(x W + h U + b)
    LSTM       i, f, g, o = split(x W + h U + b);  c' = s(f) c + s(i) tanh(g);  h' = s(o) tanh(c')
    GRU        z, r = s(split(x W + h U + b));  reset_after:  g = tanh(x Wg + bg + r (h Ug + cg)), bias (2, 3U)
               else  g = tanh(x Wg + (r h) Ug + bg), bias (3U);  h' = z h + (1 - z) g

A masked step carries the state unchanged and its output repeats the carried h (zero with zero_output_for_mask); without
return_sequences the output is that of the last step walked. go_backwards walks from the last step to the first and returns the outputs
in the order walked.

Run:  python test/golden/golden-cells.py          writes golden-cells.json beside this file, after checking every case
The checks: central differences along random directions for every leaf, and, where Keras on JAX can be imported, Keras in float64.
Inputs and weights are multiples of 1/1024, so that they are the same numbers in float32; the file holds them as integers.
"""

import json
import os
import pathlib

import numpy as np

UNIT = 1024


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# Each cell: step(x, state, weights) -> (state, saved); back(dstate, saved, weights, gradients) -> (dx, dstate), adding to gradients.


def simple_rnn_step(x, state, weights):
    kernel, recurrent, bias = weights
    (h,) = state
    new = np.tanh(x @ kernel + h @ recurrent + bias)
    return (new,), (x, h, new)


def simple_rnn_back(dstate, saved, weights, gradients):
    kernel, recurrent, _ = weights
    x, h, new = saved
    d = dstate[0] * (1 - new**2)
    gradients[0] += x.T @ d
    gradients[1] += h.T @ d
    gradients[2] += d.sum(0)
    return d @ kernel.T, (d @ recurrent.T,)


def lstm_step(x, state, weights):
    kernel, recurrent, bias = weights
    h, c = state
    i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4, axis=-1)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    new_c = f * c + i * g
    tanh_c = np.tanh(new_c)
    return (o * tanh_c, new_c), (x, h, c, i, f, g, o, tanh_c)


def lstm_back(dstate, saved, weights, gradients):
    kernel, recurrent, _ = weights
    dh, dc = dstate
    x, h, c, i, f, g, o, tanh_c = saved
    dc = dc + dh * o * (1 - tanh_c**2)
    d = np.concatenate(
        [dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2), dh * tanh_c * o * (1 - o)], axis=-1
    )
    gradients[0] += x.T @ d
    gradients[1] += h.T @ d
    gradients[2] += d.sum(0)
    return d @ kernel.T, (d @ recurrent.T, dc * f)


def gru_after_step(x, state, weights):
    kernel, recurrent, bias = weights
    (h,) = state
    a = x @ kernel + bias[0]
    b = h @ recurrent + bias[1]
    az, ar, ag = np.split(a, 3, axis=-1)
    bz, br, bg = np.split(b, 3, axis=-1)
    z, r = sigmoid(az + bz), sigmoid(ar + br)
    g = np.tanh(ag + r * bg)
    return (z * h + (1 - z) * g,), (x, h, z, r, g, bg)


def gru_after_back(dstate, saved, weights, gradients):
    kernel, recurrent, _ = weights
    (dh,) = dstate
    x, h, z, r, g, bg = saved
    dz = dh * (h - g) * z * (1 - z)
    dg = dh * (1 - z) * (1 - g**2)
    dr = dg * bg * r * (1 - r)
    da = np.concatenate([dz, dr, dg], axis=-1)
    db = np.concatenate([dz, dr, dg * r], axis=-1)
    gradients[0] += x.T @ da
    gradients[1] += h.T @ db
    gradients[2] += np.stack([da.sum(0), db.sum(0)])
    return da @ kernel.T, (dh * z + db @ recurrent.T,)


def gru_before_step(x, state, weights):
    kernel, recurrent, bias = weights
    (h,) = state
    u = h.shape[-1]
    az, ar, ag = np.split(x @ kernel + bias, 3, axis=-1)
    z, r = sigmoid(az + h @ recurrent[:, :u]), sigmoid(ar + h @ recurrent[:, u : 2 * u])
    g = np.tanh(ag + (r * h) @ recurrent[:, 2 * u :])
    return (z * h + (1 - z) * g,), (x, h, z, r, g)


def gru_before_back(dstate, saved, weights, gradients):
    kernel, recurrent, _ = weights
    (dh,) = dstate
    x, h, z, r, g = saved
    u = h.shape[-1]
    dz = dh * (h - g) * z * (1 - z)
    dg = dh * (1 - z) * (1 - g**2)
    drh = dg @ recurrent[:, 2 * u :].T
    dr = drh * h * r * (1 - r)
    d = np.concatenate([dz, dr, dg], axis=-1)
    gradients[0] += x.T @ d
    gradients[1] += np.concatenate([h.T @ dz, h.T @ dr, (r * h).T @ dg], axis=-1)
    gradients[2] += d.sum(0)
    return d @ kernel.T, (dh * z + drh * r + dz @ recurrent[:, :u].T + dr @ recurrent[:, u : 2 * u].T,)


CELLS = {  # name: (step, back, states, gates)
    "SimpleRNN": (simple_rnn_step, simple_rnn_back, 1, 1),
    "LSTM": (lstm_step, lstm_back, 2, 4),
    "GRU": (gru_after_step, gru_after_back, 1, 3),
    "GRU before": (gru_before_step, gru_before_back, 1, 3),
}


def cell_of(case):
    name = case["layer"]
    return CELLS["GRU before" if name == "GRU" and not case["config"]["reset_after"] else name]


def full_weights(case, weights):
    """The weights with the bias that use_bias false leaves out."""
    if case["config"]["use_bias"]:
        return weights
    shape = (2, 3 * case["config"]["units"]) if case["config"].get("reset_after") else (weights[0].shape[1],)
    return [*weights, np.zeros(shape)]


def forward(case, x, mask, weights):
    step, _, states, _ = cell_of(case)
    config = case["config"]
    weights = full_weights(case, weights)
    batch, length, _ = x.shape
    state = tuple(np.zeros((batch, config["units"])) for _ in range(states))
    outputs, tape = [], []
    for t in reversed(range(length)) if config["go_backwards"] else range(length):
        new, saved = step(x[:, t], state, weights)
        use = np.ones((batch, 1), bool) if mask is None else mask[:, t, None]
        state = tuple(np.where(use, n, s) for n, s in zip(new, state))
        outputs.append(np.where(use, state[0], 0.0) if config["zero_output_for_mask"] else state[0])
        tape.append((t, use, saved))
    y = np.stack(outputs, axis=1) if config["return_sequences"] else outputs[-1]
    return y, tape


def backward(case, x, tape, weights, dy):
    _, back, states, _ = cell_of(case)
    config = case["config"]
    count = len(weights)
    weights = full_weights(case, weights)
    gradients = [np.zeros_like(w) for w in weights]
    dx = np.zeros_like(x)
    dstate = tuple(np.zeros((x.shape[0], config["units"])) for _ in range(states))
    for k in reversed(range(len(tape))):
        t, use, saved = tape[k]
        if config["return_sequences"]:
            d = dy[:, k]
        else:
            d = dy if k == len(tape) - 1 else np.zeros_like(dy)
        if config["zero_output_for_mask"]:
            d = np.where(use, d, 0.0)
        dstate = (dstate[0] + d, *dstate[1:])
        into = tuple(np.where(use, s, 0.0) for s in dstate)
        dx[:, t], through = back(into, saved, weights, gradients)
        dstate = tuple(np.where(use, a, s) for a, s in zip(through, dstate))
    return gradients[:count], dx


def rounded(values):
    return np.round(values * UNIT) / UNIT


def make_mask(kind, batch, length, random):
    if kind is None:
        return None
    mask = np.ones((batch, length), bool)
    for b in range(batch):
        n = int(random.integers(1, length + 1))
        if kind == "left":
            mask[b, : length - n] = False
        elif kind == "right":
            mask[b, n:] = False
        elif kind == "holes":
            mask[b] = random.random(length) < 0.6
        elif kind == "empty":
            mask[b, n:] = False
            if b % 2 == 0:
                mask[b] = False
        elif kind == "all empty":
            mask[b] = False
    return mask


def make_case(number, layer, batch, length, features, units, mask=None, **options):
    random = np.random.default_rng(1000 + number)
    config = {
        "units": units,
        "return_sequences": True,
        "go_backwards": False,
        "zero_output_for_mask": False,
        "use_bias": True,
        **({"reset_after": True} if layer == "GRU" else {}),
        **options,
    }
    case = {"layer": layer, "config": config}
    gates = cell_of(case)[3]
    bias_shape = (2, gates * units) if config.get("reset_after") else (gates * units,)
    weights = [
        rounded(random.normal(size=(features, gates * units)) / np.sqrt(features)),
        rounded(random.normal(size=(units, gates * units)) / np.sqrt(units)),
        rounded(random.normal(size=bias_shape) * 0.3),
    ]
    if not config["use_bias"]:
        weights.pop()
    x = rounded(random.normal(size=(batch, length, features)))
    m = make_mask(mask, batch, length, random)
    y, tape = forward(case, x, m, weights)
    dy = rounded(random.normal(size=y.shape))
    gradients, dx = backward(case, x, tape, weights, dy)
    flags = [k for k, v in options.items() if v] + [f"{k} false" for k, v in options.items() if v is False]
    name = f"{layer} B{batch} T{length} F{features} U{units} mask {mask or 'none'}{''.join(', ' + f for f in flags)}"
    return {
        **case,
        "name": name,
        "x": x,
        "mask": m,
        "weights": weights,
        "output_gradient": dy,
        "output": y,
        "weight_gradients": gradients,
        "input_gradient": dx,
    }


last = {"return_sequences": False}
back = {"go_backwards": True}
zero = {"zero_output_for_mask": True}
before = {"reset_after": False}
plain = {"use_bias": False}
SPECIFICATIONS = [
    ("SimpleRNN", 1, 1, 1, 1, None, {}),
    ("SimpleRNN", 3, 7, 3, 5, None, {}),
    ("SimpleRNN", 5, 11, 16, 16, "left", last),
    ("SimpleRNN", 17, 7, 3, 17, "right", {}),
    ("SimpleRNN", 3, 11, 1, 33, "holes", back),
    ("SimpleRNN", 5, 2, 20, 3, "empty", zero),
    ("SimpleRNN", 5, 7, 3, 5, "all empty", {}),
    ("SimpleRNN", 3, 7, 16, 3, "left", {**back, **last}),
    ("SimpleRNN", 5, 7, 3, 5, None, plain),
    ("SimpleRNN", 1, 11, 20, 16, "holes", {**zero, **back}),
    ("LSTM", 1, 1, 1, 1, None, last),
    ("LSTM", 3, 7, 3, 5, None, {}),
    ("LSTM", 5, 11, 3, 3, "left", {}),
    ("LSTM", 5, 11, 3, 3, "left", last),
    ("LSTM", 17, 7, 16, 5, "right", last),
    ("LSTM", 3, 11, 20, 16, "holes", {}),
    ("LSTM", 5, 2, 1, 17, "empty", back),
    ("LSTM", 3, 7, 3, 33, "right", zero),
    ("LSTM", 17, 2, 3, 3, "holes", {**zero, **back}),
    ("LSTM", 1, 11, 16, 17, None, back),
    ("LSTM", 5, 7, 1, 5, "left", {**zero, **back}),
    ("LSTM", 3, 7, 3, 5, "all empty", last),
    ("LSTM", 3, 7, 3, 3, None, {**plain, **last}),
    ("LSTM", 5, 11, 3, 16, "right", {**back, **last}),
    ("GRU", 1, 1, 1, 1, None, {}),
    ("GRU", 3, 7, 3, 5, None, last),
    ("GRU", 5, 11, 3, 3, "left", {}),
    ("GRU", 17, 7, 16, 5, "right", {}),
    ("GRU", 3, 11, 20, 16, "holes", last),
    ("GRU", 5, 2, 1, 17, "empty", zero),
    ("GRU", 3, 7, 3, 33, "left", back),
    ("GRU", 1, 11, 16, 17, "holes", {**zero, **back}),
    ("GRU", 5, 7, 3, 5, None, plain),
    ("GRU", 1, 2, 1, 1, None, before),
    ("GRU", 3, 7, 3, 5, None, {**before, **last}),
    ("GRU", 5, 11, 3, 3, "left", {**before, **last}),
    ("GRU", 17, 7, 16, 5, "right", before),
    ("GRU", 3, 11, 20, 16, "holes", {**before, **back}),
    ("GRU", 5, 2, 1, 17, "empty", {**before, **zero}),
    ("GRU", 3, 7, 3, 33, "left", {**before, **zero, **back}),
    ("GRU", 5, 7, 3, 5, "all empty", {**before, **plain}),
    ("GRU", 5, 7, 3, 5, "right", {**last, **zero}),
]


def check_differences(case):
    """Central differences of <y, dy> along two random directions of every leaf, error of fourth order in the step."""
    random = np.random.default_rng(7)
    leaves = [case["x"], *case["weights"]]
    gradients = [case["input_gradient"], *case["weight_gradients"]]

    def value(moved):
        return float((forward(case, moved[0], case["mask"], moved[1:])[0] * case["output_gradient"]).sum())

    scale = sum(float(np.abs(g).sum()) for g in gradients) + 1
    for index, leaf in enumerate(leaves):
        for _ in range(2):
            direction = random.normal(size=leaf.shape)

            def at(step):
                moved = list(leaves)
                moved[index] = leaf + step * direction
                return value(moved)

            e = 1e-3
            slope = (8 * (at(e) - at(-e)) - (at(2 * e) - at(-2 * e))) / (12 * e)
            error = abs(slope - float((gradients[index] * direction).sum())) / scale
            assert error < 1e-8, (case["name"], index, error)


def check_keras(cases):
    os.environ["KERAS_BACKEND"] = "jax"
    try:
        import jax

        jax.config.update("jax_enable_x64", True)
        import keras
    except ImportError as error:
        print(f"not compared with Keras: {error}")
        return
    from keras.src.backend.common import dtypes

    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"  # Keras narrows results to float32 on JAX, whatever the policy
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    worst = 0.0
    for case in cases:
        layer = getattr(keras.layers, case["layer"])(**case["config"])
        layer.build(case["x"].shape)
        layer.set_weights(case["weights"])
        mask = case["mask"]

        def run(weights, x):
            state = [v.value for v in layer.non_trainable_variables]
            return layer.stateless_call(weights, state, x, mask=mask)[0]

        y, pull = jax.vjp(run, [jax.numpy.asarray(w) for w in case["weights"]], jax.numpy.asarray(case["x"]))
        weight_gradients, dx = pull(jax.numpy.asarray(case["output_gradient"]))
        ours = [case["output"], case["input_gradient"], *case["weight_gradients"]]
        for a, b in zip(ours, [y, dx, *weight_gradients]):
            b = np.asarray(b)
            assert b.dtype == np.float64 and a.shape == b.shape
            error = np.abs(a - b).max() / max(1e-300, np.abs(b).max(), 1.0)
            worst = max(worst, error)
            assert error < 1e-10, (case["name"], error)
    print(f"{len(cases)} cases equal to Keras {keras.__version__} in float64, largest relative difference {worst:.1e}")


def exact(values):
    scaled = values * UNIT
    whole = np.round(scaled).astype(int)
    assert (whole == scaled).all()
    return {"shape": list(values.shape), "units": whole.ravel().tolist()}


def precise(values):
    return {"shape": list(values.shape), "data": [0 if v == 0 else v for v in values.ravel().tolist()]}


def main():
    cases = [
        make_case(n, layer, b, t, f, u, mask, **options)
        for n, (layer, b, t, f, u, mask, options) in enumerate(SPECIFICATIONS)
    ]
    for case in cases:
        check_differences(case)
    check_keras(cases)
    written = [
        {
            "name": case["name"],
            "layer": case["layer"],
            "config": case["config"],
            "x": exact(case["x"]),
            "mask": None if case["mask"] is None else case["mask"].astype(int).tolist(),
            "weights": [exact(w) for w in case["weights"]],
            "outputGradient": exact(case["output_gradient"]),
            "output": precise(case["output"]),
            "weightGradients": [precise(g) for g in case["weight_gradients"]],
            "inputGradient": precise(case["input_gradient"]),
        }
        for case in cases
    ]
    path = pathlib.Path(__file__).with_suffix(".json")
    body = ",\n".join(json.dumps(case, separators=(",", ":")) for case in written)
    path.write_text(f'{{"unit":{UNIT},"cases":[\n{body}\n]}}\n')
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
