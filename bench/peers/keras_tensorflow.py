"""Keras on TensorFlow; see keras_steps.py."""
import os
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow

import keras_steps

tensorflow.config.threading.set_intra_op_parallelism_threads(int(sys.argv[1]))
tensorflow.config.threading.set_inter_op_parallelism_threads(1)
keras_steps.serve(tensorflow.__version__)
