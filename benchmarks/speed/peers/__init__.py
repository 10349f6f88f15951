"""The kit and its peers: a module each, with a function for each measure that it takes part in.

Such a function loads what is needed and gives a `Work`. Nothing here is imported but by
`worker.py`, since every module needs its own libraries.
"""

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Work:
    """What is timed.

    Attributes:
        run: Is called with the number of the round, and does the work once. May give a dict:
            `times`, the seconds of each of its parts; `items`, how many it did.
        check: Gives what came out, as JSON takes it.
    """

    run: Callable[[int], dict[str, Any] | None]
    check: Callable[[], Any] = lambda: None


def load(folder: str, name: str) -> Any:
    """Reads one of the inputs that `inputs.py` wrote."""
    return json.loads((Path(folder) / f"{name}.json").read_text(encoding="utf-8"))


def one_by_one(answer: Callable[[Any], Any], requests: Sequence[Any]) -> Work:
    """Makes a `Work` of requests that are answered one at a time, each with its own time."""
    for request in requests[:5]:
        answer(request)

    def run(_):
        times = []
        for request in requests:
            start = time.perf_counter()
            answer(request)
            times.append(time.perf_counter() - start)
        return {"times": times}

    return Work(run, lambda: [answer(request) for request in requests])
