#!/usr/bin/env bash
# Installs the peers beside the benchmarks: TensorFlow.js from npm, PyTorch into bench/.venv where a Python package index can be reached.
# Another Python that has torch can be named by UNROLLED_PYTHON instead. What cannot be installed is named; the benchmarks then skip it.
set -u
cd "$(dirname "$0")"
npm install --prefix peers --no-audit --no-fund || echo 'TensorFlow.js: not installed'
if [ -n "${UNROLLED_PYTHON:-}" ]; then
  echo "PyTorch: taken from $UNROLLED_PYTHON"
elif python3 -m venv .venv && .venv/bin/pip install --quiet torch numpy; then
  echo 'PyTorch: installed into bench/.venv'
else
  rm -rf .venv
  echo 'PyTorch: not installed (no Python with venv, or no package index)'
fi
