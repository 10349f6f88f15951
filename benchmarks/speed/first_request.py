"""The first requests to a served model, in a process that has answered none.

python benchmarks/speed/first_request.py MODEL TEXTS [--warm-up]

MODEL is the folder of a SavedModel, TEXTS a JSON list. The model is loaded as TensorFlow Serving
loads it, and with --warm-up gets the requests of its warm-up file first, as it does there. The
seconds of each request go to standard output.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from keras_bert_kit.serving.c_api import Session
from keras_bert_kit.serving.check.samples import warm_up_requests


def main():
    """Loads, and lets the texts be answered one by one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("texts", type=Path)
    parser.add_argument("--warm-up", action="store_true")
    given = parser.parse_args()
    seconds = []
    with Session(given.model) as session:
        for request in warm_up_requests(given.model) if given.warm_up else ():
            session.run(request.signature, request.inputs)
        for text in json.loads(given.texts.read_text(encoding="utf-8")):
            start = time.perf_counter()
            session.run("serving_default", {"text": np.array([text.encode()], object)})
            seconds.append(time.perf_counter() - start)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
