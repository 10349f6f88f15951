"""Writes an ONNX file of a Hugging Face folder, by PyTorch: python to_onnx.py FOLDER CLASS FILE"""

import sys

import torch
import transformers

NAMES = ("input_ids", "attention_mask", "token_type_ids")


class First(torch.nn.Module):
    """A model whose inputs stand in the order of `NAMES`, with its first output alone."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, *inputs):
        """Runs the model."""
        return self.model(**dict(zip(NAMES, inputs, strict=True)))[0]


def main(folder, head, path):
    """Exports with free batch and length."""
    model = getattr(transformers, head).from_pretrained(folder, attn_implementation="eager").eval()
    ids = torch.ones((2, 16), dtype=torch.int64)
    torch.onnx.export(
        First(model),
        (ids, ids, torch.zeros_like(ids)),
        path,
        input_names=list(NAMES),
        output_names=["output"],
        dynamic_axes={name: {0: "batch", 1: "length"} for name in NAMES},
        opset_version=17,
        dynamo=False,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
