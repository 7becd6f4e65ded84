"""Peak memory of PyTorch's training steps: reads one JSON object per line, answers with the bytes by which the resident memory of the process
rises above what it had after a small model was trained, with the data in memory. One order per process.

{"kind": "lstm", "batch": 32, "time": 100, "features": 128, "units": 128, "steps": 3}
"""
import json
import resource
import sys

import torch

torch.set_num_threads(int(sys.argv[1]))
print(json.dumps({"version": torch.__version__}), flush=True)


def field(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))


def resident():
    try:
        return field("VmRSS:")
    except OSError:
        return highest()


def highest():
    try:
        return field("VmHWM:")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def forget():
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


def train(order, x, y):
    network = {"gru": torch.nn.GRU, "simple-rnn": torch.nn.RNN}.get(order["kind"], torch.nn.LSTM)
    layer = network(order["features"], order["units"], num_layers=2 if order["kind"] == "two-layer" else 1, batch_first=True)
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3)
    for _ in range(order["steps"]):
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.mse_loss(layer(x)[0], y).backward()
        optimizer.step()


def data(batch, time_steps, features, units):
    return torch.randn(batch, time_steps, features), torch.rand(batch, time_steps, units)


for line in sys.stdin:
    order = json.loads(line)
    train({"kind": "lstm", "features": 8, "units": 8, "steps": 1}, *data(2, 4, 8, 8))
    x, y = data(order["batch"], order["time"], order["features"], order["units"])
    forget()
    before = resident()
    train(order, x, y)
    print(json.dumps({"bytes": max(0, highest() - before)}), flush=True)
