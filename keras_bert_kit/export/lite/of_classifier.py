"""The LiteRT models of a classifier of texts: one of texts, one of tokens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_bert_kit._version import __version__
from keras_bert_kit.data import Examples
from keras_bert_kit.export.lite.candidates import FEWEST_TEXTS, Candidates
from keras_bert_kit.export.lite.comparison import Comparison, ids_inputs, text_inputs
from keras_bert_kit.export.lite.gate import MAX_DROP, Gate
from keras_bert_kit.export.lite.graphs import LiteClassifier
from keras_bert_kit.export.lite.mediapipe_metadata import with_text_classifier_metadata
from keras_bert_kit.export.lite.quantization import CALIBRATED
from keras_bert_kit.export.lite.result import IDS_FILE, TEXT_FILE, Made
from keras_bert_kit.export.warm_up import TEXTS
from keras_bert_kit.models import BertForSequenceClassification

#: Tokens, unless it is said: a model of a fixed length takes as long for a short text.
LONGEST = 128


class OfClassifier:
    """Makes the models, and compares them with the Keras model on texts.

    Args:
        model: The classifier.
        quantize: One of the formats.
        max_length: Longest sequence in tokens; `None` takes the model's, but at most 128.
        examples: Texts to compare on, perhaps labelled; see `litert`.
        calibration: Texts that activations are measured on; see `litert`.

    Attributes:
        served: What the model computes.
        labelled: Whether the texts that it was compared on had labels.

    Raises:
        ValueError: There are too few texts.
    """

    def __init__(
        self,
        model: BertForSequenceClassification,
        quantize: str,
        max_length: int | None,
        examples: Examples | None,
        calibration: Examples | None,
    ):
        if max_length is None:
            max_length = min(model.max_length, LONGEST)
        self.served = LiteClassifier(model, max_length)
        self.labelled = False
        self._quantize = quantize
        self._kits_own = examples is None and calibration is None
        own = Examples("texts", list(TEXTS))
        self._examples = examples or calibration or own
        self._calibration = calibration or examples or own
        if quantize in CALIBRATED and len(self._calibration) < FEWEST_TEXTS:
            raise ValueError(
                f"{quantize} needs at least {FEWEST_TEXTS} texts to measure activations on "
                "(examples or calibration; --data or --texts on the command line). "
                f"Received: {len(self._calibration)}{' of the kit' if self._kits_own else ''}"
            )

    def max_drop(self, asked: float | None) -> float:
        """By how many points of accuracy a model may fall; on the kit's own texts, any."""
        if self._kits_own:
            return 100.0
        return MAX_DROP[self._quantize] if asked is None else asked

    def models(self, gate: Gate, path: Path, on_step: Callable[[str], None]) -> dict[str, Made]:
        """Makes the models, by the names of their files."""
        on_step("Answering the texts with Keras")
        compared = Comparison(self.served, self._examples)
        self.labelled = compared.labelled
        candidates = Candidates(self.served, self._quantize, self._calibration, on_step)
        text = gate.first_to_pass(candidates.of_texts(), compared.text_model)
        words, content, scores = gate.first_to_pass(candidates.of_tokens(), compared.ids_model)
        content = self._with_metadata(content, path)
        inputs = text_inputs(self._examples, [0])
        signature = "pair" if "text_pair" in inputs else "serving_default"
        first = ids_inputs(self.served, self._examples, 0)
        return {
            TEXT_FILE: Made(*text, signature, inputs),
            IDS_FILE: Made(words, content, scores, "serving_default", first),
        }

    def write(self, folder: Path):
        """Writes the labels and the tokenizer's files, beside the models."""
        labels = "".join(f"{name}\n" for name in self.served.model.config.label_names)
        (folder / "labels.txt").write_text(labels, encoding="utf-8")
        self.served.python_tokenizer.save_pretrained(folder)

    def card(self) -> tuple[str, dict[str, Any]]:
        """Gives the template of the card, and what belongs into it."""
        tokenizer = self.served.model.tokenizer
        mediapipe = (
            "Its tokenizer lower-cases and leaves accents, as this model's does: it fits."
            if tokenizer.do_lower_case and tokenizer.strip_accents is False
            else "Its tokenizer always lower-cases and never strips accents; this model's "
            + ("strips accents" if tokenizer.do_lower_case else "does not lower-case")
            + ", so answers differ where a text has "
            + ("accents." if tokenizer.do_lower_case else "capitals. Use `tokenizer.json` instead.")
        )
        return "litert.md", {
            "labels": ", ".join(self.served.model.config.label_names),
            "problem": self.served.kind,
            "output": "scores" if self.served.kind == "regression" else "probabilities",
            "mediapipe": mediapipe,
            "measure": "Accuracy is the share of right labels"
            if self.labelled
            else "The texts had no labels, so the accuracy is the share of texts that get the "
            "Keras model's label",
        }

    def _with_metadata(self, content: bytes, path: Path) -> bytes:
        config, vocabulary = self.served.model.config, self.served.model.tokenizer.get_vocab()
        return with_text_classifier_metadata(
            content,
            labels=config.label_names,
            vocab=sorted(vocabulary, key=vocabulary.__getitem__),
            name=path.name,
            description=f"A BERT classifier of texts, written by keras-bert-kit {__version__}.",
            version=__version__,
        )
