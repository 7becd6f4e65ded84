"""Keras on JAX; see keras_steps.py."""
import os
import sys

threads = sys.argv[1]
os.environ["KERAS_BACKEND"] = "jax"
os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={'false' if threads == '1' else 'true'} intra_op_parallelism_threads={threads}"
import jax

import keras_steps

keras_steps.serve(jax.__version__)
