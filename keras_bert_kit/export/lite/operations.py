"""Which operations a LiteRT model consists of, and whether a runtime has them."""

from __future__ import annotations

from collections.abc import Iterable

from tensorflow.lite.python import schema_py_generated as schema

_BUILTINS = {
    number: name for name, number in vars(schema.BuiltinOperator).items() if name.isupper()
}


def operations(model: bytes) -> tuple[set[str], set[str]]:
    """Gives the names of a model's builtin operations, and of its custom ones.

    Args:
        model: The content of a .tflite file.
    """
    root = schema.Model.GetRootAs(model)
    codes = [root.OperatorCodes(index) for index in range(root.OperatorCodesLength())]
    custom = {code.CustomCode().decode() for code in codes if code.CustomCode()}
    numbers = {
        max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        for code in codes
        if not code.CustomCode()
    }
    return {_BUILTINS[number] for number in numbers}, custom


def check_operations(model: bytes, custom: Iterable[str] = ()):
    """Checks that a model has no operation that its runtime lacks.

    The converter writes what it cannot convert down as a custom operation, and that fails only
    when the model is run.

    Args:
        model: The content of a .tflite file.
        custom: Custom operations that the runtime has.

    Raises:
        RuntimeError: There is another one.
    """
    others = operations(model)[1] - set(custom)
    if others:
        raise RuntimeError(
            f"A LiteRT model must have builtin operations{''.join(f', {one}' for one in custom)} "
            f"alone. Received: {', '.join(sorted(others))}. Please report this."
        )
