"""TensorFlow's lines about itself, which are of no concern to whoever runs a command."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
    """Keep what is written to the process's stderr for itself, unless it ends in an error: then it may tell why.

    TensorFlow's libraries write there before any setting reaches them, past ``sys.stderr``.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # no warnings of C++ later either; errors are told
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with tempfile.TemporaryFile() as log:
            os.dup2(log.fileno(), 2)
            try:
                yield
            except BaseException:
                log.seek(0)
                os.write(kept, log.read())
                raise
            finally:
                os.dup2(kept, 2)
    finally:
        os.close(kept)
