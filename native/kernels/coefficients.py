"""Fits the polynomials of functions.inl.h: minimax by iteratively reweighted least squares on Chebyshev points.
Run: python3 coefficients.py (needs numpy). Prints the coefficients, highest power first, and the relative error."""
import math
import numpy as np


def fit(name, target, weight, low, high, degree, fixed=()):
    """Fits sum c_i x^i to target; the lowest coefficients may be fixed."""
    n = 4001
    x = (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(n) + 0.5) / n)
    y = np.array([target(v) for v in x])
    w = np.array([abs(weight(v)) for v in x])
    scale = max(abs(low), abs(high))
    columns = range(len(fixed), degree + 1)
    base = sum(c * x**i for i, c in enumerate(fixed)) if fixed else 0.0
    lawson = np.ones(n)
    best = None
    for _ in range(300):
        s = w * np.sqrt(lawson)
        a = np.stack([(x / scale) ** i for i in columns], 1) * s[:, None]
        c, *_ = np.linalg.lstsq(a, (y - base) * s, rcond=None)
        error = np.abs((np.stack([(x / scale) ** i for i in columns], 1) @ c + base - y) * w)
        if best is None or error.max() < best[0]:
            best = (error.max(), c)
        lawson = lawson * (error + 1e-30)
        lawson /= lawson.mean()
    c = [*fixed, *[v / scale**i for i, v in zip(columns, best[1])]]
    print(f"{name}: relative error {best[0]:.2e}")
    print("   ", ", ".join(f"{np.float32(v)!s}f" for v in reversed(c)))


half = math.log(2) / 2 * 1.001
fit("exp: e^x", math.exp, lambda x: math.exp(-x), -half, half, 6, (1.0, 1.0))
fit("exp2: 2^x", lambda x: 2.0**x, lambda x: 2.0**-x, -0.5005, 0.5005, 5, (1.0,))
r = math.sqrt(0.5)


def log_rest(x):
    if abs(x) < 1e-2:
        return sum((-1) ** i * x**i / (i + 3) for i in range(16))
    return (math.log1p(x) - x + x * x / 2) / x**3


fit("log: (ln(1 + x) - x + x^2/2) / x^3", log_rest, lambda x: x**3 / math.log1p(x) if x else 0.0, r - 1, 2 * r - 1, 8)
fit("erf small: erf(sqrt s) / sqrt s", lambda s: math.erf(math.sqrt(s)) / math.sqrt(s) if s else 2 / math.sqrt(math.pi),
    lambda s: math.sqrt(s) / math.erf(math.sqrt(s)) if s > 0 else math.sqrt(math.pi) / 2, 0.0, 1.0, 6)
fit("erf large: ln(erfc(x))", lambda x: math.log(math.erfc(x)), lambda x: math.erfc(x) / math.erf(x), 1.0, 4.0, 7)
