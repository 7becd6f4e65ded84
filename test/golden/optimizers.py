"""Optimizers of Keras 3 on JAX, float64: KERAS_BACKEND=jax python optimizers.py > optimizers.json

Ten steps of six weights (an embedding with rows that get no gradient, a matrix, a vector, a number, a tall matrix, three axes) under given
gradients, for every optimizer and its options; weights after the steps that are named in `kept`. Schedule-free AdamW follows its authors'
program (facebookresearch/schedule_free, adamw_schedulefree.py, foreach=False) in NumPy, with the averages x as weights. `variables`: what
Keras's optimizers keep, in their order.
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
rng = np.random.default_rng(11)
WEIGHTS = [
    ("embedding", "embeddings", (4, 2)), ("dense", "kernel", (2, 3)), ("dense", "bias", (3,)), ("gate", "scale", ()),
    ("tall", "kernel", (3, 2)), ("deep", "kernel", (2, 2, 3)),
]
KEPT = [1, 2, 3, 5, 10]
S = {"module": "keras.optimizers.schedules", "class_name": "ExponentialDecay", "registered_name": None, "config": {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5}}
LR = {"learning_rate": 0.03}


def rounded(x):
    return [float(f"{v:.11g}") for v in np.asarray(x, dtype=np.float64).ravel()]


start = [np.round(rng.standard_normal(shape), 3) for _, _, shape in WEIGHTS]
gradients = []
for step in range(10):
    gradient = [np.round(rng.standard_normal(shape), 3) for _, _, shape in WEIGHTS]
    gradient[0][1] = 0  # a word that never comes
    if step % 3:
        gradient[0][2] = 0  # one that comes every third time
    gradients.append(gradient)

CASES = [
    ("SGD", {}), ("SGD", {**LR, "momentum": 0.9}), ("SGD", {**LR, "momentum": 0.8, "nesterov": True}), ("SGD", {"learning_rate": S, "weight_decay": 0.1}),
    ("RMSprop", LR), ("RMSprop", {**LR, "rho": 0.8, "momentum": 0.5}), ("RMSprop", {**LR, "centered": True, "momentum": 0.9, "epsilon": 1e-3}),
    ("Adam", {}), ("Adam", {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-4}), ("Adam", {**LR, "amsgrad": True, "beta_2": 0.5}),
    ("Adam", {**LR, "weight_decay": 0.1}), ("Adam", {"learning_rate": S}),
    ("AdamW", LR), ("AdamW", {**LR, "weight_decay": 0.2, "amsgrad": True}), ("AdamW", {**LR, "weight_decay": 0.2}, ["bias", "embed"]),
    ("Nadam", LR), ("Nadam", {**LR, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3, "weight_decay": 0.05}), ("Nadam", {"learning_rate": S}),
    ("Adamax", LR), ("Adamax", {**LR, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3}),
    ("Adagrad", LR), ("Adagrad", {**LR, "initial_accumulator_value": 0.5, "epsilon": 1e-3, "weight_decay": 0.1}),
    ("Adadelta", {"learning_rate": 1.0}), ("Adadelta", {"learning_rate": 2.0, "rho": 0.8, "epsilon": 1e-3}),
    ("Ftrl", LR), ("Ftrl", {**LR, "learning_rate_power": -0.7, "initial_accumulator_value": 0.3}), ("Ftrl", {**LR, "learning_rate_power": 0.0}),
    ("Ftrl", {**LR, "l1_regularization_strength": 0.5, "l2_regularization_strength": 0.3, "l2_shrinkage_regularization_strength": 0.2, "beta": 0.4}),
    ("Lion", LR), ("Lion", {**LR, "beta_1": 0.5, "beta_2": 0.8, "weight_decay": 0.3}),
    ("Lamb", LR), ("Lamb", {**LR, "beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3, "weight_decay": 0.1}),
    ("Adafactor", {"learning_rate": 0.5}), ("Adafactor", {"learning_rate": 0.1, "relative_step": False, "beta_2_decay": -0.5, "clip_threshold": 0.5, "epsilon_2": 0.1}),
    ("Adafactor", {"learning_rate": S, "epsilon_1": 1e-3, "weight_decay": 0.1}),
    ("Muon", LR), ("Muon", {**LR, "exclude_layers": ["tall"], "nesterov": False, "rms_rate": None, "ns_steps": 3}),
    ("Muon", {**LR, "exclude_embeddings": False, "weight_decay": 0.1, "adam_weight_decay": 0.3, "adam_lr_ratio": 0.5, "momentum": 0.7, "adam_beta_1": 0.8, "adam_beta_2": 0.9, "epsilon": 1e-3}),
    ("Muon", {**LR, "weight_decay": None, "adam_weight_decay": None, "muon_a": 3.0, "muon_b": -3.2, "muon_c": 1.2}),
    ("SGD", {**LR, "clipnorm": 0.5}), ("RMSprop", {**LR, "global_clipnorm": 0.7}), ("Adam", {**LR, "clipvalue": 0.2}),
    ("SGD", {**LR, "loss_scale_factor": 8.0}),
    ("Adam", {**LR, "use_ema": True, "ema_momentum": 0.6}), ("SGD", {**LR, "use_ema": True, "ema_momentum": 0.6, "ema_overwrite_frequency": 3}),
    ("Adam", {**LR, "gradient_accumulation_steps": 3, "global_clipnorm": 1.0}), ("Nadam", {"learning_rate": S, "gradient_accumulation_steps": 2}),
    ("Adafactor", {**LR, "gradient_accumulation_steps": 2}),
    ("RMSprop", {**LR, "gradient_accumulation_steps": 2, "use_ema": True, "ema_momentum": 0.7, "ema_overwrite_frequency": 2, "weight_decay": 0.1, "loss_scale_factor": 4.0}),
]


def variables():
    made = []
    for (layer, name, _), value in zip(WEIGHTS, start):
        with keras.name_scope(layer):
            made.append(keras.Variable(value, dtype="float64", name=name))
    return made


def make(class_name, config):
    config = dict(config)
    if isinstance(config.get("learning_rate"), dict):
        config["learning_rate"] = keras.optimizers.schedules.deserialize(json.loads(json.dumps(config["learning_rate"])))
    return getattr(keras.optimizers, class_name)(**config)


def run(class_name, config, excluded=None, constraint=None):
    optimizer = make(class_name, config)
    if excluded:
        optimizer.exclude_from_weight_decay(var_names=excluded)
    weights = variables()
    if constraint:
        for w in weights[:3]:
            w.constraint = keras.constraints.get(constraint)
    optimizer.build(weights)
    steps, averages = [], None
    scale = config.get("loss_scale_factor") or 1
    for k, gradient in enumerate(gradients):
        optimizer.apply([keras.ops.convert_to_tensor(g * scale) for g in gradient])
        if k + 1 in KEPT:
            steps.append([rounded(w.value) for w in weights])
    case = {"class_name": class_name, "config": config, "excluded": excluded, "constraint": constraint, "steps": steps}
    if config.get("use_ema"):
        case["averages"] = [rounded(v.value) for v in optimizer._model_variables_moving_average]
    return case


def schedule_free(config):
    """The authors' step; x is recovered as their `eval()` does."""
    lr, b1, b2 = config.get("learning_rate", 0.0025), config.get("beta_1", 0.9), config.get("beta_2", 0.999)
    eps, warmup, decay = config.get("epsilon", 1e-8), config.get("warmup_steps", 0), config.get("weight_decay") or 0.0
    ys = [w.copy() for w in start]
    zs = [w.copy() for w in start]
    vs = [np.zeros_like(w) for w in start]
    weight_sum, lr_max, steps = 0.0, -1.0, []
    for k, gradient in enumerate(gradients):
        sched = (k + 1) / warmup if k < warmup else 1.0
        correction = 1 - b2 ** (k + 1)
        now = (config["rates"][k] if "rates" in config else lr) * sched
        lr_max = max(now, lr_max)
        weight = lr_max**2
        weight_sum += weight
        c = weight / weight_sum if weight_sum else 0.0
        for i, g in enumerate(gradient):
            vs[i] = b2 * vs[i] + (1 - b2) * g * g
            d = g / (np.sqrt(vs[i] / correction) + eps) + decay * ys[i]
            ys[i] = ys[i] + c * (zs[i] - ys[i])
            ys[i] = ys[i] + now * (b1 * (1 - c) - 1) * d
            zs[i] = zs[i] - now * d
        if k + 1 in KEPT:
            steps.append([rounded(y + (1 - 1 / b1) * (z - y)) for y, z in zip(ys, zs)])
    plain = {key: value for key, value in config.items() if key != "rates"}
    return {"class_name": "ScheduleFreeAdamW", "config": plain, "excluded": None, "constraint": None, "rates": config.get("rates"), "steps": steps}


cases = [run(*case) for case in CASES]
cases.append(run("Adam", {**LR}, constraint="non_neg"))
cases.append(run("SGD", {**LR, "use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2, "gradient_accumulation_steps": 2}, constraint="unit_norm"))
for config in [
    {}, {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3}, {"learning_rate": 0.05, "weight_decay": 0.2},
    {"learning_rate": 0.05, "warmup_steps": 4}, {"learning_rate": 0.05, "rates": [0, 0, 0.02, 0.05, 0.01, 0.06, 0.06, 0.03, 0.01, 0]},
]:
    cases.append(schedule_free(config))

kept = []
for class_name, config in [
    ("SGD", {}), ("SGD", {"momentum": 0.9}), ("RMSprop", {"momentum": 0.5, "centered": True}), ("Adam", {"amsgrad": True, "use_ema": True, "gradient_accumulation_steps": 2}),
    ("AdamW", {}), ("Nadam", {}), ("Adamax", {}), ("Adagrad", {}), ("Adadelta", {}), ("Ftrl", {}), ("Lion", {}), ("Lamb", {}), ("Adafactor", {}),
    ("Adafactor", {"use_ema": True}), ("Muon", {}), ("Muon", {"exclude_layers": ["tall"]}), ("Adam", {"learning_rate": S}),
]:
    optimizer = make(class_name, config)
    optimizer.build(variables())
    serialised = keras.optimizers.serialize(optimizer)
    del serialised["config"]["name"]
    kept.append({
        "class_name": class_name, "config": config, "serialised": serialised,
        "variables": [[v.path.split("/")[-1], list(v.shape)] for v in optimizer.variables],
    })

print(json.dumps({
    "weights": [[f"{layer}/{name}", list(shape)] for layer, name, shape in WEIGHTS], "kept": KEPT, "start": [w.ravel().tolist() for w in start],
    "gradients": [[g.ravel().tolist() for g in one] for one in gradients], "cases": cases, "variables": kept,
}))
