"""Reading, writing and learning a WordPiece vocabulary; the files that describe a tokenizer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

#: The special tokens of BERT: padding, unknown, start, separator and mask.
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def read_vocabulary(path: str | Path) -> list[str]:
    """Reads a `vocab.txt`: one token a line, the line number from 0 is the id.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not UTF-8.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be UTF-8. Received: {error}") from error
    lines = text.split("\n")
    return [line.rstrip("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]


def write_vocabulary(path: str | Path, tokens: Sequence[str]):
    """Writes a `vocab.txt`."""
    Path(path).write_bytes("".join(f"{token}\n" for token in tokens).encode("utf-8"))


def check_vocabulary(tokens: Sequence[str]):
    """Checks that a vocabulary is one of BERT.

    Raises:
        ValueError: A token stands twice, or a special token is missing.
    """
    seen: dict[str, int] = {}
    for index, token in enumerate(tokens):
        if token in seen:
            raise ValueError(
                "Each token of a vocabulary must stand once. "
                f"Received: {token!r} as id {seen[token]} and as id {index}"
            )
        seen[token] = index
    missing = [token for token in SPECIAL_TOKENS if token not in seen]
    if missing:
        raise ValueError(
            f"A BERT vocabulary must hold {', '.join(SPECIAL_TOKENS)}. "
            f"Missing: {', '.join(missing)} of {len(tokens)} tokens"
        )


def learn_vocabulary(
    texts: Iterable[str],
    vocab_size: int,
    do_lower_case: bool = True,
    strip_accents: bool | None = None,
    tokenize_chinese_chars: bool = True,
) -> list[str]:
    """Learns a WordPiece vocabulary; the same texts give the same tokens in the same order.

    The settings are those of the `BertTokenizer` that the vocabulary is for.

    Args:
        texts: Texts, gone through twice; an iterator is held in memory for that.
        vocab_size: The most tokens, special ones included. Short texts give fewer, because pieces
            that occur once are not joined.
        do_lower_case: Whether texts are lower-cased.
        strip_accents: Whether accents are removed; `None` does as `do_lower_case` says.
        tokenize_chinese_chars: Whether each CJK character is a word of its own.

    Returns:
        The tokens in the order of their ids: the special ones, the characters, those within
        words, and the longer pieces in the order in which they were learned.

    Raises:
        ValueError: The texts hold no word, or more different characters than `vocab_size` allows.

    Example:
        >>> tokens = learn_vocabulary(["a text", "more texts"], vocab_size=30)
        >>> tokenizer = BertTokenizer(tokens)

    Reference:
        Schuster and Nakajima 2012, Japanese and Korean voice search. As in the `tokenizers`
        library, the pair of pieces that occurs most often is joined next.
    """
    if isinstance(texts, str):
        raise ValueError(f"texts must be several texts. Received: one, {texts[:30]!r}. Use [text].")
    texts = list(texts) if isinstance(texts, Iterator) else texts

    def learn(size, first):
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(
            clean_text=True,
            handle_chinese_chars=tokenize_chinese_chars,
            strip_accents=strip_accents,
            lowercase=do_lower_case,
        )
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(
            vocab_size=size, min_frequency=2, special_tokens=list(first), show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer)
        ids = tokenizer.get_vocab()
        return sorted(ids, key=ids.__getitem__)

    # The trainer numbers characters within words in no fixed order, and that order decides between
    # pairs that are equally frequent. So it is told the characters, in order, by a first round.
    characters = set(learn(0, SPECIAL_TOKENS)) - set(SPECIAL_TOKENS)
    if not characters:
        raise ValueError("texts must hold words to learn a vocabulary from. Received: none")
    first = [*SPECIAL_TOKENS, *sorted(characters, key=lambda token: (len(token), token))]
    if len(first) > vocab_size:
        raise ValueError(
            f"vocab_size must be at least {len(first)} for these texts: {len(SPECIAL_TOKENS)} "
            f"special tokens and {len(characters)} characters, those within words counted apart. "
            f"Received: vocab_size={vocab_size}"
        )
    return learn(vocab_size, first)


def read_tokenizer_files(folder: str | Path) -> dict[str, Any]:
    """Reads what a model folder says of its tokenizer.

    `tokenizer.json` is used where it is there, else `vocab.txt`; `tokenizer_config.json` adds the
    settings that the first leaves open.

    Args:
        folder: A model folder in Hugging Face's layout.

    Returns:
        The arguments of `BertTokenizer`: `vocab`, and as far as the files tell, `do_lower_case`,
        `strip_accents`, `tokenize_chinese_chars` and `model_max_length`.

    Raises:
        FileNotFoundError: The folder holds neither `tokenizer.json` nor `vocab.txt`.
        ValueError: A file is damaged, or describes another kind of tokenizer.
    """
    folder = Path(folder)
    settings = _read_json(folder / "tokenizer_config.json")
    arguments: dict[str, Any] = {}
    if (folder / "tokenizer.json").is_file():
        arguments = _from_tokenizer_json(folder / "tokenizer.json")
    elif (folder / "vocab.txt").is_file():
        arguments = {"vocab": read_vocabulary(folder / "vocab.txt")}
    else:
        raise FileNotFoundError(
            f"{folder} must hold a tokenizer, as tokenizer.json or vocab.txt. "
            "Copy the file there from where the model came from."
        )
    _check("tokenizer_config.json", settings, _CONFIG_MUST_BE)
    for name in ("do_lower_case", "strip_accents", "tokenize_chinese_chars"):
        if name in settings:
            arguments[name] = settings[name]
    limit = settings.get("model_max_length")
    if type(limit) is int and limit < 1_000_000:  # Hugging Face writes 1e30 for "no limit"
        arguments["model_max_length"] = limit
    return arguments


# What the parts of the two files must say, where they say anything, for the ids to be BERT's.
_CONFIG_MUST_BE = {
    "tokenizer_class": ("BertTokenizer", "BertTokenizerFast"),
    **{
        f"{name}_token": (token,)
        for name, token in zip(("pad", "unk", "cls", "sep", "mask"), SPECIAL_TOKENS, strict=True)
    },
}
_JSON_MUST_BE = {
    "model": {
        "type": ("WordPiece",),
        "unk_token": ("[UNK]",),
        "continuing_subword_prefix": ("##",),
        "max_input_chars_per_word": (100,),
    },
    "normalizer": {"type": ("BertNormalizer",), "clean_text": (True,)},
    "pre_tokenizer": {"type": ("BertPreTokenizer",)},
    "post_processor": {"type": ("BertProcessing", "TemplateProcessing")},
}


def _check(where: str, values: dict[str, Any], must_be: dict[str, tuple[Any, ...]]):
    for name, allowed in must_be.items():
        value = values.get(name)
        if isinstance(value, dict):  # old files spell a special token out
            value = value.get("content")
        if value is not None and value not in allowed:
            raise ValueError(
                f"{name} of {where} must be {' or '.join(map(repr, allowed))}. Received: {value!r}"
            )


def _from_tokenizer_json(path: Path) -> dict[str, Any]:
    content = _read_json(path)
    parts = {name: content.get(name) or {} for name in _JSON_MUST_BE}
    for name, must_be in _JSON_MUST_BE.items():
        if not isinstance(parts[name], dict):
            raise ValueError(f"{name} of {path} must be an object. Received: {parts[name]!r}")
        if name != "model" and not parts[name]:
            raise ValueError(f"{name} of {path} must be {must_be['type'][0]}. Received: none")
        _check(f"{name} in {path}", parts[name], must_be)
    ids, normalizer = parts["model"].get("vocab"), parts["normalizer"]
    if not isinstance(ids, dict) or sorted(ids.values()) != list(range(len(ids))):
        raise ValueError(f"{path} must hold a vocabulary that numbers its tokens from 0 on")
    added = [token.get("content") for token in content.get("added_tokens") or []]
    unknown = [token for token in added if token not in SPECIAL_TOKENS]
    if unknown:
        raise ValueError(f"added_tokens of {path} must be BERT's own. Received: {unknown!r}")
    return {
        "vocab": sorted(ids, key=ids.__getitem__),
        "do_lower_case": normalizer.get("lowercase", True),
        "strip_accents": normalizer.get("strip_accents"),
        "tokenize_chinese_chars": normalizer.get("handle_chinese_chars", True),
    }


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} must be a JSON file. Received: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object. Received: {type(content).__name__}")
    return content
