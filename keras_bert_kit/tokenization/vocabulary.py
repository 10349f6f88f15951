"""Reading, writing and learning a WordPiece vocabulary; the files that describe a tokenizer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

#: The special tokens of BERT: padding, unknown, start, separator and mask.
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
#: A word of more characters is unknown, in BERT as published.
MAX_INPUT_CHARS_PER_WORD = 100


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


def check_tokens(
    vocab: Sequence[str],
    never_split: Sequence[str],
    additional_special_tokens: Sequence[str],
    max_input_chars_per_word: int,
):
    """Checks a vocabulary and what a tokenizer is told about its tokens.

    Raises:
        TypeError: A string was given in the place of several.
        ValueError: The vocabulary is not one of BERT, a token is not in it or was named twice, or
            no word is short enough.
    """
    check_vocabulary(vocab)
    named = {"never_split": never_split, "additional_special_tokens": additional_special_tokens}
    known, seen = set(vocab), set(SPECIAL_TOKENS)
    for name, tokens in named.items():
        if isinstance(tokens, str):
            raise TypeError(f"{name} must be several tokens. Received: {tokens!r}. Use [token].")
        missing = [token for token in tokens if token not in known]
        if missing or "" in tokens:
            raise ValueError(
                f"{name} must be tokens of the vocabulary. Received: {missing or ['']}"
            )
        twice = [token for token in tokens if token in seen]
        if twice:
            raise ValueError(f"{name} must not name what is special already. Received: {twice}")
        seen.update(tokens)
    if type(max_input_chars_per_word) is not int or max_input_chars_per_word < 1:
        raise ValueError(
            "max_input_chars_per_word must be a whole number above 0. "
            f"Received: max_input_chars_per_word={max_input_chars_per_word!r}"
        )


def learn_vocabulary(
    texts: Iterable[str],
    vocab_size: int,
    do_lower_case: bool = True,
    strip_accents: bool | None = None,
    tokenize_chinese_chars: bool = True,
    show_progress: bool = False,
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
        show_progress: Whether progress bars are shown on stderr.

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
        tokenizer.normalizer = bert_normalizer(do_lower_case, strip_accents, tokenize_chinese_chars)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(
            vocab_size=size,
            min_frequency=2,
            special_tokens=list(first),
            show_progress=show_progress,
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
    settings that the first leaves open. Where a `vocab.txt` stands alone, texts are lower-cased
    unless a token, apart from those in brackets, has a capital.

    Args:
        folder: A model folder in Hugging Face's layout, or of Google's TF1 models.

    Returns:
        The arguments of `BertTokenizer`, as far as the files tell.

    Raises:
        FileNotFoundError: The folder holds neither `tokenizer.json` nor `vocab.txt`.
        ValueError: A file is damaged, or describes another kind of tokenizer.
    """
    folder = Path(folder)
    settings = _read_json(folder / "tokenizer_config.json")
    added: list[dict[str, Any]] = []
    if (folder / "tokenizer.json").is_file():
        arguments, added = _from_tokenizer_json(folder / "tokenizer.json")
    elif (folder / "vocab.txt").is_file():
        arguments = {"vocab": read_vocabulary(folder / "vocab.txt")}
        decoder = settings.get("added_tokens_decoder") or {}
        added = [{"id": int(index), **token} for index, token in decoder.items()]
        if not settings:
            arguments["do_lower_case"] = not any(map(_has_capital, arguments["vocab"]))
    else:
        raise FileNotFoundError(
            f"{folder} must hold a tokenizer, as tokenizer.json or vocab.txt. "
            "Copy the file there from where the model came from."
        )
    tokens_map = _read_json(folder / "special_tokens_map.json")
    _check("special_tokens_map.json", tokens_map, _SPECIAL_TOKENS_MUST_BE)
    _check("tokenizer_config.json", settings, _SPECIAL_TOKENS_MUST_BE | _CONFIG_MUST_BE)
    arguments |= {name: settings[name] for name in _SETTINGS if name in settings}
    arguments |= _honoured_tokens(arguments, added)
    unknown = set(_read_json(folder / "added_tokens.json")).difference(arguments["vocab"])
    if unknown:
        raise ValueError(
            f"added_tokens.json must name tokens of the vocabulary. Received: {sorted(unknown)}"
        )
    special = arguments["additional_special_tokens"]
    for values in (settings, tokens_map):
        for name in ("additional_special_tokens", "extra_special_tokens"):
            special += [_content(token) for token in values.get(name) or ()]
    words = [*arguments["never_split"], *(settings.get("never_split") or ())]
    arguments["additional_special_tokens"] = _without(special, SPECIAL_TOKENS)
    arguments["never_split"] = _without(words, (*SPECIAL_TOKENS, *special))
    limit = settings.get("model_max_length")
    if type(limit) is int and limit < 1_000_000:  # Hugging Face writes 1e30 for "no limit"
        arguments["model_max_length"] = limit
    return arguments


_SETTINGS = (
    "do_lower_case",
    "strip_accents",
    "tokenize_chinese_chars",
    "split_special_tokens",
    "max_input_chars_per_word",
)
# What the parts of the files must say, where they say anything, for the ids to be BERT's.
_CONFIG_MUST_BE = {"tokenizer_class": ("BertTokenizer", "BertTokenizerFast")}
_SPECIAL_TOKENS_MUST_BE = {
    f"{name}_token": (token,)
    for name, token in zip(("pad", "unk", "cls", "sep", "mask"), SPECIAL_TOKENS, strict=True)
}
_JSON_MUST_BE = {
    "model": {
        "type": ("WordPiece",),
        "unk_token": ("[UNK]",),
        "continuing_subword_prefix": ("##",),
    },
    "normalizer": {"type": ("BertNormalizer",), "clean_text": (True,)},
    "pre_tokenizer": {"type": ("BertPreTokenizer",)},
    "post_processor": {"type": ("BertProcessing", "TemplateProcessing")},
}
_FLAGS = ("lstrip", "rstrip", "single_word", "normalized")


def _content(token: Any) -> Any:
    """Gives a token as it is written; files spell it out or not."""
    return token.get("content") if isinstance(token, dict) else token


def _without(tokens: Iterable[str], known: Sequence[str]) -> list[str]:
    """Gives each token that is not known yet once."""
    return [token for token in dict.fromkeys(tokens) if token not in known]


def _has_capital(token: str) -> bool:
    return token != token.lower() and not re.fullmatch(r"\[.*\]|<.*>", token)


def _check(where: str, values: dict[str, Any], must_be: dict[str, tuple[Any, ...]]):
    for name, allowed in must_be.items():
        value = _content(values.get(name))
        if value is not None and value not in allowed:
            raise ValueError(
                f"{name} of {where} must be {' or '.join(map(repr, allowed))}. Received: {value!r}"
            )


def _from_tokenizer_json(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    content = _read_json(path)
    parts = {name: content.get(name) or {} for name in _JSON_MUST_BE}
    for name, must_be in _JSON_MUST_BE.items():
        if not isinstance(parts[name], dict):
            raise ValueError(f"{name} of {path} must be an object. Received: {parts[name]!r}")
        if name != "model" and not parts[name]:
            raise ValueError(f"{name} of {path} must be {must_be['type'][0]}. Received: none")
        _check(f"{name} in {path}", parts[name], must_be)
    model, normalizer = parts["model"], parts["normalizer"]
    ids = model.get("vocab")
    if not isinstance(ids, dict) or sorted(ids.values()) != list(range(len(ids))):
        raise ValueError(f"{path} must hold a vocabulary that numbers its tokens from 0 on")
    arguments = {
        "vocab": sorted(ids, key=ids.__getitem__),
        "do_lower_case": normalizer.get("lowercase", True),
        "strip_accents": normalizer.get("strip_accents"),
        "tokenize_chinese_chars": normalizer.get("handle_chinese_chars", True),
        "max_input_chars_per_word": model.get("max_input_chars_per_word", MAX_INPUT_CHARS_PER_WORD),
    }
    return arguments, content.get("added_tokens") or []


def _honoured_tokens(
    arguments: dict[str, Any], added: Iterable[dict[str, Any]]
) -> dict[str, list[str]]:
    """Turns the added tokens of a file into arguments.

    Raises:
        ValueError: A token does what `BertTokenizer` cannot do.
    """
    vocab = list(arguments["vocab"])
    ids = {token: index for index, token in enumerate(vocab)}
    found: dict[str, list[str]] = {"never_split": [], "additional_special_tokens": []}
    for token in sorted(added, key=lambda token: token.get("id", 0)):
        content, special = token.get("content"), token.get("special", False)
        flags = [flag for flag in _FLAGS if token.get(flag, False)]
        if flags:
            raise ValueError(
                f"added_tokens must be plain. Received: {content!r} with {', '.join(flags)}. "
                "BertTokenizer does not know these flags."
            )
        if content not in ids and token.get("id") == len(vocab) and _is_no_word(content, arguments):
            ids[content] = len(vocab)
            vocab.append(content)
        if token.get("id") != ids.get(content):
            raise ValueError(
                "added_tokens must be of the vocabulary, or follow it and be no word that a text "
                f"can hold otherwise. Received: {content!r} as id {token.get('id')}"
            )
        if content not in SPECIAL_TOKENS:
            found["additional_special_tokens" if special else "never_split"].append(content)
    return {"vocab": vocab, **found}


def _is_no_word(token: str, settings: dict[str, Any]) -> bool:
    """Whether no text can hold a token as a word, so that it can join the vocabulary."""
    normalizer = bert_normalizer(
        settings.get("do_lower_case", True),
        settings.get("strip_accents"),
        settings.get("tokenize_chinese_chars", True),
    )
    words = pre_tokenizers.BertPreTokenizer().pre_tokenize_str(normalizer.normalize_str(token))
    return [word for word, _ in words] != [token]


def bert_normalizer(
    do_lower_case: bool, strip_accents: bool | None, tokenize_chinese_chars: bool
) -> normalizers.BertNormalizer:
    """Gives the library's normaliser for settings of `BertTokenizer`."""
    return normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=tokenize_chinese_chars,
        strip_accents=strip_accents,
        lowercase=do_lower_case,
    )


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
