"""Asks the server over REST: python client_rest.py $usage..."""

import json
import sys
import urllib.request

URL = "http://localhost:8501/v1/models/$name:predict"
NAMES = ["$names"]

given = sys.argv[1:] or ["$values"]
rows = [given[i : i + len(NAMES)] for i in range(0, len(given), len(NAMES))]
named = [dict(zip(NAMES, row, strict=True)) for row in rows]
request = {"signature_name": "serving_default", "instances": named if NAMES[1:] else given}
with urllib.request.urlopen(URL, json.dumps(request).encode(), timeout=30) as response:
    for row, answer in zip(rows, json.load(response)["predictions"], strict=True):
        print(*row, answer, sep="\t")
