"""Learning-rate schedules of Keras 3 on JAX in float64, and PyTorch's OneCycleLR: KERAS_BACKEND=jax python schedules.py > schedules.json

The values at many steps, and the serialised form. Steps on which a restart of CosineDecayRestarts falls are left out for growing periods:
there Keras's logarithms decide by their rounding whether the restart has come.
"""
import json
import math
import os

os.environ["KERAS_BACKEND"] = "jax"
import jax

jax.config.update("jax_enable_x64", True)
import keras
import torch
from keras.src.backend.common import dtypes

dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"  # Keras narrows to float32 on JAX, whatever floatx says
keras.config.set_floatx("float64")
STEPS = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 15, 19, 20, 21, 29, 30, 31, 39, 40, 41, 55, 69, 70, 71, 99, 100, 101, 149, 150, 151, 999, 12345]
CASES = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9}),
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9, "staircase": True, "name": "mine"}),
    ("PiecewiseConstantDecay", {"boundaries": [10, 20, 100], "values": [0.5, 0.2, 0.1, 0.01]}),
    ("PiecewiseConstantDecay", {"boundaries": [30], "values": [1.0, 0.1]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 30}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 30, "end_learning_rate": 0.01, "power": 0.5}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 20, "end_learning_rate": 0.01, "power": 2.0, "cycle": True}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5, "staircase": True}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 100}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 40, "alpha": 0.2}),
    ("CosineDecay", {"initial_learning_rate": 0.0, "decay_steps": 100, "alpha": 0.1, "warmup_target": 0.3, "warmup_steps": 20}),
    ("CosineDecay", {"initial_learning_rate": 0.5, "decay_steps": 30, "warmup_target": 0.3, "warmup_steps": 10}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 10}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 7, "t_mul": 1.0, "m_mul": 0.5}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 10, "t_mul": 3.0, "m_mul": 0.8, "alpha": 0.1}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 8, "t_mul": 1.5, "m_mul": 0.9}),
]


def restart(config, step):
    t, start, length = config.get("t_mul", 2.0), 0.0, config["first_decay_steps"]
    while t != 1.0 and start < step:
        start, length = start + length, length * t
    return step > 0 and math.isclose(start, step)


cases = []
for class_name, config in CASES:
    schedule = getattr(keras.optimizers.schedules, class_name)(**config)
    values = [[k, float(f"{float(schedule(k)):.12g}")] for k in STEPS if class_name != "CosineDecayRestarts" or not restart(config, k)]
    cases.append({"serialised": keras.optimizers.schedules.serialize(schedule), "values": values})

one_cycle = []
for config in [
    {"total_steps": 100}, {"total_steps": 50, "anneal_strategy": "linear"}, {"total_steps": 60, "pct_start": 0.2, "three_phase": True},
    {"total_steps": 61, "pct_start": 0.45, "three_phase": True, "anneal_strategy": "linear", "div_factor": 10.0, "final_div_factor": 100.0},
    {"total_steps": 7, "pct_start": 0.5, "div_factor": 4.0},
]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.3, cycle_momentum=False, **config)
    values = []
    for k in range(config["total_steps"]):
        values.append(float(f"{scheduler.get_last_lr()[0]:.12g}"))
        optimizer.step()
        if k + 1 < config["total_steps"]:
            scheduler.step()
    one_cycle.append({"config": config, "values": values})

print(json.dumps({"cases": cases, "one_cycle": one_cycle}))
