"""One peer in a process of its own: reads what to do from standard input, a line of JSON each.

    {"prepare": MEASURE, ...}   loads what the measure needs; what follows is given to the peer
    {"run": NUMBER}             does the work once, and tells the seconds; with "warm", once before
    {"check": true}             tells what came out, to compare it with the other peers'

Each line is answered by one of JSON.
"""

import importlib
import json
import os
import resource
import sys
import time
import traceback


def main(peer):
    """Answers until the input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not stand among the answers
    module = importlib.import_module(f"peers.{peer}")
    work = None
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if "prepare" in asked:
                work = getattr(module, asked.pop("prepare"))(**asked)
                answer = {"peak_bytes": peak_bytes()}
            elif "run" in asked:
                if asked.get("warm"):
                    work.run(asked["run"])
                start = time.perf_counter()
                found = work.run(asked["run"]) or {}
                answer = {"seconds": time.perf_counter() - start, "peak_bytes": peak_bytes()}
                answer.update(found)
            else:
                answer = {"outputs": work.check()}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(answer), file=answers)


def peak_bytes():
    """Gives the most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main(sys.argv[1])
