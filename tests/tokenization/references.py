"""The reference, made straight from the `tokenizers` library."""

from __future__ import annotations

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def reference(
    vocab,
    do_lower_case=True,
    strip_accents=None,
    tokenize_chinese_chars=True,
    split_special_tokens=False,
    never_split=(),
    additional_special_tokens=(),
    max_input_chars_per_word=100,
):
    ids = {token: index for index, token in enumerate(vocab)}
    tokenizer = Tokenizer(
        models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=max_input_chars_per_word)
    )
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=do_lower_case,
        strip_accents=strip_accents,
        handle_chinese_chars=tokenize_chinese_chars,
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(token, ids[token]) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens([*SPECIAL_TOKENS, *additional_special_tokens])
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in never_split])
    tokenizer.encode_special_tokens = split_special_tokens
    return tokenizer


def reference_ids(tokenizer, texts):
    """Ids without special tokens, a list a text."""
    return [row.ids for row in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
