import numpy as np
import pytest
import tensorflow as tf

from keras_bert_kit import BertTokenizer
from keras_bert_kit.data import TokenMasker
from keras_bert_kit.data.segmentation import continuing_tokens, load_segmenter

WORDS = {"我们在北京": ["我们", "在", "北京"], "北京 a b": ["北京", "a", "b"], "": []}


@pytest.fixture(scope="module")
def tokenizer():
    return BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"我们在北京ab"])


def test_tokens_go_on_within_the_words_of_the_segmenter(tokenizer):
    flags = continuing_tokens(list(WORDS), tokenizer, WORDS.get)
    assert flags.to_list() == [
        [False, True, False, False, True],
        [False, True, False, False],
        [],
    ]


def test_a_word_that_is_not_in_the_text_is_refused(tokenizer):
    with pytest.raises(ValueError, match=r"more.txt: the segmenter must give .*'京北'"):
        continuing_tokens(["北京"], tokenizer, lambda text: ["京北"], "more.txt")


@pytest.mark.parametrize("seed", range(6))
def test_whole_words_of_the_segmenter_are_hidden(tokenizer, seed):
    text = "我们在北京" * 4
    flags = continuing_tokens([text], tokenizer, lambda _: WORDS["我们在北京"] * 4)
    inputs = {name: tf.constant(values) for name, values in tokenizer([text]).items()}
    masker = TokenMasker(tokenizer, mlm_probability=0.4, whole_word_mask=True)
    continues = tf.pad(flags.to_tensor(), [[0, 0], [1, 1]])
    masked, _, weights = masker(inputs, tf.constant([seed, 1]), continues)
    chosen = np.zeros(22, bool)
    chosen[masked["masked_positions"].numpy()[weights.numpy() > 0]] = True
    words = chosen[1:-1].reshape(4, 5)  # 我 们 在 北 京
    assert chosen.any()
    np.testing.assert_array_equal(words[:, 0], words[:, 1])
    np.testing.assert_array_equal(words[:, 3], words[:, 4])


def test_a_segmenter_is_found_by_its_name():
    assert load_segmenter("json:dumps")("a") == '"a"'
    with pytest.raises(ValueError, match="must be named as module:function"):
        load_segmenter("jieba")
    with pytest.raises(ImportError, match="pip install no_such_segmenter"):
        load_segmenter("no_such_segmenter:cut")
    with pytest.raises(ValueError, match="json must have a function cut"):
        load_segmenter("json:cut")
