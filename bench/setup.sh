#!/usr/bin/env bash
# Installs the peers beside the benchmarks: TensorFlow.js and ONNX Runtime from npm into bench/peers, PyTorch and Keras (on JAX, and on
# TensorFlow where there is one for this Python) into bench/.venv. UNROLLED_PYTHON names another Python instead, which is left as it is.
# What cannot be installed is named; the benchmarks then skip it.
set -u
cd "$(dirname "$0")"
# without this, ONNX Runtime downloads libraries for graphics cards
ONNXRUNTIME_NODE_INSTALL=skip npm install --prefix peers --no-audit --no-fund || echo 'TensorFlow.js, ONNX Runtime: not installed'
if [ -n "${UNROLLED_PYTHON:-}" ]; then
  python="$UNROLLED_PYTHON"
elif python3 -m venv .venv; then
  python=.venv/bin/python
  .venv/bin/pip install --quiet torch numpy
  .venv/bin/pip install --quiet keras jax
  .venv/bin/pip install --quiet tensorflow
else
  rm -rf .venv
  echo 'PyTorch, Keras: not installed (no Python with venv)'
  exit 0
fi
for module in torch keras jax tensorflow; do
  if "$python" -c "import importlib.util as u, sys; sys.exit(u.find_spec('$module') is None)"; then
    echo "$module: in $python"
  else
    echo "$module: not installed in $python; what needs it is skipped"
  fi
done
