"""Training and inference steps of PyTorch on one thread. Reads a JSON object per line, answers with one: milliseconds per step.

{"cell": "lstm", "batch": 32, "time": 100, "features": 128, "units": 128, "work": "train", "steps": 5}
Training is forward, mean squared error of the whole output sequence, backward and Adam; the gradient of the input is not asked for.
"""
import json
import sys
import time

import torch

torch.set_num_threads(1)
print(json.dumps({"version": torch.__version__}), flush=True)
ready = {}


def prepare(cell, batch, time_steps, features, units):
    key = (cell, batch, time_steps, features, units)
    if key not in ready:
        torch.manual_seed(0)
        layer = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "simple-rnn": torch.nn.RNN}[cell](features, units, batch_first=True)
        optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3)
        x, y = torch.randn(batch, time_steps, features), torch.rand(batch, time_steps, units)
        ready[key] = (layer, optimizer, x, y)
    return ready[key]


def train(layer, optimizer, x, y):
    optimizer.zero_grad(set_to_none=True)
    torch.nn.functional.mse_loss(layer(x)[0], y).backward()
    optimizer.step()


def infer(layer, _optimizer, x, _y):
    with torch.inference_mode():
        layer(x)


for line in sys.stdin:
    order = json.loads(line)
    made = prepare(order["cell"], order["batch"], order["time"], order["features"], order["units"])
    step = train if order["work"] == "train" else infer
    started = time.perf_counter()
    for _ in range(order["steps"]):
        step(*made)
    print(json.dumps({"milliseconds": 1000 * (time.perf_counter() - started) / order["steps"]}), flush=True)
