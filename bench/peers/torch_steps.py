"""Training and inference steps of PyTorch. Reads a JSON object per line, answers with one: milliseconds per step. The argument is the number
of threads.

{"kind": "lstm", "batch": 32, "time": 100, "features": 128, "units": 128, "work": "train", "steps": 5}
Training is forward, mean squared error of the whole output sequence, backward and Adam; the gradient of the input is not asked for.
"lengths" (one a row) packs the sequences, which the loss then sees alone.
"""
import json
import sys
import time

import torch
from torch.nn.utils import rnn

torch.set_num_threads(int(sys.argv[1]))
print(json.dumps({"version": torch.__version__}), flush=True)
current = (None, None)


def build(kind, features, units):
    network = {"gru": torch.nn.GRU, "simple-rnn": torch.nn.RNN}.get(kind, torch.nn.LSTM)
    options = {"bidirectional": {"bidirectional": True}, "two-layer": {"num_layers": 2}}.get(kind, {})
    return network(features, units, batch_first=True, **options)


def prepare(order):
    """The model of the last order is kept."""
    global current
    key = tuple(order[k] for k in ("kind", "batch", "time", "features", "units"))
    if current[0] != key:
        kind, batch, time_steps, features, units = key
        torch.manual_seed(0)
        layer = build(kind, features, units)
        optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3)
        width = 2 * units if kind == "bidirectional" else units
        current = (key, (layer, optimizer, torch.randn(batch, time_steps, features), torch.rand(batch, time_steps, width)))
    return current[1]


def train(layer, optimizer, x, y):
    optimizer.zero_grad(set_to_none=True)
    torch.nn.functional.mse_loss(layer(x)[0], y).backward()
    optimizer.step()


def train_packed(layer, optimizer, x, y, lengths):
    optimizer.zero_grad(set_to_none=True)
    packed = rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    goal = rnn.pack_padded_sequence(y, lengths, batch_first=True, enforce_sorted=False)
    torch.nn.functional.mse_loss(layer(packed)[0].data, goal.data).backward()
    optimizer.step()


def infer(layer, _optimizer, x, _y):
    with torch.inference_mode():
        layer(x)


for line in sys.stdin:
    order = json.loads(line)
    made = prepare(order)
    if "lengths" in order:
        made = (*made, torch.tensor(order["lengths"]))
        step = train_packed
    else:
        step = train if order["work"] == "train" else infer
    started = time.perf_counter()
    for _ in range(order["steps"]):
        step(*made)
    print(json.dumps({"milliseconds": 1000 * (time.perf_counter() - started) / order["steps"]}), flush=True)
