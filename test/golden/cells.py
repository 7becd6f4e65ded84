"""Outputs and gradients of the recurrent cells in NumPy, float64: python cells.py > cells.json

Gradients are complex-step derivatives of the forward pass (Squire and Trapp 1998): exact to rounding, and no second derivation by hand.
"""
import json

import numpy as np

rng = np.random.default_rng(20)
B, T, F, U = 3, 5, 4, 3


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def simple_rnn(x, states, weights):
    (h,), (w, u, b) = states, weights
    h = np.tanh(x @ w + h @ u + b)
    return h, [h]


def lstm(x, states, weights):
    (h, c), (w, u, b) = states, weights
    i, f, g, o = np.split(x @ w + h @ u + b, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return h, [h, c]


def gru_after(x, states, weights):
    (h,), (w, u, b) = states, weights
    xz, xr, xh = np.split(x @ w + b[0], 3, axis=-1)
    hz, hr, hh = np.split(h @ u + b[1], 3, axis=-1)
    z, r = sigmoid(xz + hz), sigmoid(xr + hr)
    h = z * h + (1 - z) * np.tanh(xh + r * hh)
    return h, [h]


def gru_before(x, states, weights):
    (h,), (w, u, b) = states, weights
    xz, xr, xh = np.split(x @ w + b, 3, axis=-1)
    z, r = sigmoid(xz + h @ u[:, :U]), sigmoid(xr + h @ u[:, U : 2 * U])
    h = z * h + (1 - z) * np.tanh(xh + (r * h) @ u[:, 2 * U :])
    return h, [h]


CELLS = {
    "SimpleRNN": (simple_rnn, 1, [(F, U), (U, U), (U,)], {}),
    "LSTM": (lstm, 2, [(F, 4 * U), (U, 4 * U), (4 * U,)], {}),
    "GRU": (gru_after, 1, [(F, 3 * U), (U, 3 * U), (2, 3 * U)], {}),
    "GRU before": (gru_before, 1, [(F, 3 * U), (U, 3 * U), (3 * U,)], {"reset_after": False}),
}

MASKS = {
    "none": None,
    "left": [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1], [0, 1, 1, 1, 1]],
    "right": [[1, 1, 1, 0, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 1]],
    "holes": [[1, 0, 1, 0, 1], [0, 0, 0, 0, 0], [0, 1, 1, 0, 1]],
}


def walk(cell, states, x, mask, weights, backwards, zero_output):
    """Outputs in the order of the walk, and the last states. A masked step carries the state and repeats the output."""
    h = [np.zeros((x.shape[0], U), dtype=x.dtype) for _ in range(states)]
    outputs = []
    for t in reversed(range(T)) if backwards else range(T):
        y, new = cell(x[:, t], h, weights)
        if mask is not None:
            m = np.array(mask)[:, t : t + 1].astype(bool)
            y = np.where(m, y, np.zeros_like(y) if zero_output else h[0])
            new = [np.where(m, a, b) for a, b in zip(new, h)]
        h = new
        outputs.append(y)
    return np.stack(outputs, axis=1), h


def forward(name, x, mask, weights, sequences, backwards, zero_output):
    cell, states, _, _ = CELLS[name]
    y, h = walk(cell, states, x, mask, weights, backwards, zero_output)
    return [y if sequences else y[:, -1], *h]


def bidirectional(name, mode, x, mask, weights, sequences):
    cell, states, _, _ = CELLS[name]
    n = len(weights) // 2
    a, _ = walk(cell, states, x, mask, weights[:n], False, sequences)
    b, _ = walk(cell, states, x, mask, weights[n:], True, sequences)
    a, b = (a, b[:, ::-1]) if sequences else (a[:, -1], b[:, -1])
    if mode == "concat":
        return [np.concatenate([a, b], axis=-1)]
    if mode is None:
        return [a, b]
    return [{"sum": a + b, "mul": a * b, "ave": (a + b) / 2}[mode]]


def gradients(function, arrays, cotangents):
    """d sum(outputs * cotangents) / d array, for each array."""
    step = 1e-30
    results = []
    for k, array in enumerate(arrays):
        gradient = np.zeros(array.shape)
        for at in np.ndindex(array.shape):
            moved = [a.astype(complex) for a in arrays]
            moved[k][at] += step * 1j
            outputs = function(moved)
            gradient[at] = sum((y * c).sum() for y, c in zip(outputs, cotangents)).imag / step
        results.append(gradient)
    return results


def case(title, function, config, shapes, mask):
    x = rng.standard_normal((B, T, F))
    weights = [rng.standard_normal(shape) * 0.6 for shape in shapes]
    run = lambda arrays: function(arrays[0], mask, arrays[1:])
    outputs = run([x, *weights])
    cotangents = [rng.standard_normal(y.shape) for y in outputs]
    dx, *dw = gradients(run, [x, *weights], cotangents)
    lists = lambda arrays: [a.tolist() for a in arrays]
    return {
        "title": title, "layer": config, "x": x.tolist(), "mask": mask, "weights": lists(weights), "outputs": lists(outputs),
        "cotangents": lists(cotangents), "inputGradients": dx.tolist(), "weightGradients": lists(dw),
    }


cases = []
for name, (_, _, shapes, extra) in CELLS.items():
    class_name = name.split()[0]
    for mask_name, mask in MASKS.items():
        for sequences, backwards, zero in [(False, False, False), (True, False, False), (True, True, False), (True, False, True), (False, True, True)]:
            config = {"units": U, "return_sequences": sequences, "return_state": True, "go_backwards": backwards, "zero_output_for_mask": zero, **extra}
            function = lambda x, m, w: forward(name, x, m, w, sequences, backwards, zero)
            title = f"{name} {mask_name} sequences={sequences} backwards={backwards} zero={zero}"
            cases.append(case(title, function, {"class_name": class_name, "config": config}, shapes, mask))
for name, mode, mask_name, sequences in [
    ("LSTM", "concat", "left", True), ("GRU", "sum", "holes", True), ("SimpleRNN", "mul", "right", False), ("LSTM", "ave", "none", False),
    ("GRU before", None, "right", True), ("LSTM", "concat", "holes", False),
]:
    _, _, shapes, extra = CELLS[name]
    inner = {"class_name": name.split()[0], "config": {"units": U, "return_sequences": sequences, **extra}}
    function = lambda x, m, w: bidirectional(name, mode, x, m, w, sequences)
    config = {"class_name": "Bidirectional", "config": {"merge_mode": mode, "layer": inner}}
    cases.append(case(f"Bidirectional {name} {mode} {mask_name} sequences={sequences}", function, config, shapes * 2, MASKS[mask_name]))

print(json.dumps(cases))
