"""Where people and stages meet: the command line and the pipeline."""

import os

# The matrices here are small: further threads of linear algebra only wait for each other, which on
# a busy computer takes many times as long. Work is shared out to threads and processes of our own.
for _library in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_library, "1")
