"""Asks the server over REST: python client_rest.py TEXT..."""

import json
import sys
import urllib.request

URL = "http://localhost:8501/v1/models/$name:predict"

texts = sys.argv[1:] or ["$text"]
request = {"signature_name": "serving_default", "instances": texts}
with urllib.request.urlopen(URL, json.dumps(request).encode(), timeout=30) as response:
    for text, answer in zip(texts, json.load(response)["predictions"], strict=True):
        print(text, answer, sep="\t")
