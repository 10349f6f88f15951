"""LiteRT's interpreter, with the operations of the tokenizer."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from tensorflow_text import tflite_registrar


class LiteModel:
    """A LiteRT model that is ready to run.

    Args:
        model: The .tflite file, or its content.
        threads: Threads of the interpreter; `None` takes one for each core.

    Attributes:
        signatures: For each signature, a dict of its `inputs` and `outputs`, names in lists.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: ai-edge-litert is not installed.
        ValueError: The file is no LiteRT model.
    """

    def __init__(self, model: str | Path | bytes, threads: int | None = None):
        try:
            from ai_edge_litert.interpreter import InterpreterWithCustomOps
        except ImportError as error:
            raise ImportError(
                "LiteRT models need ai-edge-litert: pip install 'keras-bert-kit[litert]'"
            ) from error
        content = model if isinstance(model, bytes) else Path(model).read_bytes()
        try:
            self._interpreter = InterpreterWithCustomOps(
                model_content=content,
                custom_op_registerers=tflite_registrar.SELECT_TFTEXT_OPS,
                num_threads=threads or os.cpu_count(),
            )
        except ValueError as error:
            name = "The content" if content is model else model
            raise ValueError(f"{name} must be a LiteRT model. Received: {error}") from error
        self.signatures = self._interpreter.get_signature_list()
        self._runners = {}

    def run(self, signature: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature: Its name.
            **inputs: Its inputs; texts as an array of object, with bytes as elements.

        Returns:
            Arrays by output name.
        """
        if signature not in self._runners:  # each allocates tensors of its own
            self._runners[signature] = self._interpreter.get_signature_runner(signature)
        return self._runners[signature](**inputs)
