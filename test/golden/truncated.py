"""Truncated backpropagation through time in PyTorch, float64: weights after plain gradient descent on windows that may overlap.

    python test/golden/truncated.py > test/golden/truncated.json

The state at the start of a window is the one that the pass before had there, detached; the loss counts the steps that are new.
"""

import json

import torch

torch.set_default_dtype(torch.float64)
BATCH, TIME, FEATURES, UNITS, RATE = 3, 11, 2, 4, 0.5


def wave(k, *shape):
    size = torch.Size(shape).numel()
    # As float32 numbers, which the tests feed.
    return torch.sin(k + 1.3 * torch.arange(size)).to(torch.float32).to(torch.float64).reshape(shape)


def stored(tensor):
    return {"shape": list(tensor.shape), "data": tensor.detach().reshape(-1).tolist()}


def run(window, stride, epochs):
    kernel, recurrent, bias = wave(1, FEATURES, 4 * UNITS) / 2, wave(2, UNITS, 4 * UNITS) / 2, wave(3, 4 * UNITS) / 2
    dense, offset = wave(4, UNITS, 1), wave(5, 1)
    weights = [w.clone().requires_grad_() for w in (kernel, recurrent, bias, dense, offset)]
    initial = [stored(w) for w in weights]
    cell = torch.nn.LSTMCell(FEATURES, UNITS)
    x, y = wave(6, BATCH, TIME, FEATURES), wave(7, BATCH, TIME, 1)
    losses = []

    def step(now, h, c):
        w, u, b, _, _ = weights
        values = {"weight_ih": w.T, "weight_hh": u.T, "bias_ih": b, "bias_hh": torch.zeros_like(b)}
        return torch.func.functional_call(cell, values, (now, (h, c)))

    for _ in range(epochs):
        states = {0: (torch.zeros(BATCH, UNITS), torch.zeros(BATCH, UNITS))}
        for before in range(0, TIME, stride):
            start, end = max(0, before + stride - window), min(TIME, before + stride)
            h, c = states[start]
            outputs = []
            for t in range(start, end):
                if t not in states or t > start:
                    states[t] = (h.detach(), c.detach())
                h, c = step(x[:, t], h, c)
                outputs.append(h @ weights[3] + weights[4])
            states[end] = (h.detach(), c.detach())
            fresh = torch.stack(outputs[before - start :], 1)
            loss = ((fresh - y[:, before:end]) ** 2).mean()
            losses.append(loss.item())
            gradients = torch.autograd.grad(loss, weights)
            with torch.no_grad():
                for w, g in zip(weights, gradients):
                    w -= RATE * g
    return {"window": window, "stride": stride, "epochs": epochs, "losses": losses, "initial": initial, "weights": [stored(w) for w in weights]}


cases = [run(4, 4, 2), run(5, 2, 2), run(6, 4, 1), run(3, 1, 1), run(11, 11, 2), run(20, 11, 1)]
sizes = {"batch": BATCH, "time": TIME, "features": FEATURES, "units": UNITS, "rate": RATE}
print(json.dumps({"sizes": sizes, "torch": torch.__version__, "cases": cases}))
