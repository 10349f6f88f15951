import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_bert_kit.data.tags import SCHEMES, detect_scheme, spans_of, split_tag, to_iob2


@st.composite
def sentences(draw):
    """Spans of a sentence: type, first word, the word behind the last; and the number of words."""
    spans, place = [], 0
    for _ in range(draw(st.integers(0, 4))):
        first = place + draw(st.integers(0, 2))
        place = first + draw(st.integers(1, 3))
        spans.append((draw(st.sampled_from(["PER", "LOC-X"])), first, place))
    return spans, place + draw(st.integers(0, 2))


def written(spans, length, scheme):
    """Writes spans in a scheme, word by word."""
    tags = ["O"] * length
    behind = {}
    for type_, first, last in spans:
        for place in range(first, last):
            tags[place] = f"{'I' if scheme.startswith('IOB') else scheme_inside(scheme)}-{type_}"
        if scheme == "IOB2" or (scheme == "IOB1" and behind.get(first) == type_):
            tags[first] = f"B-{type_}"
        if scheme in ("BIOES", "BILOU", "BMES"):
            alone, end = ("U", "L") if scheme == "BILOU" else ("S", "E")
            tags[first], tags[last - 1] = f"B-{type_}", f"{end}-{type_}"
            if last - first == 1:
                tags[first] = f"{alone}-{type_}"
        behind[last] = type_
    return tags


def scheme_inside(scheme):
    return "M" if scheme == "BMES" else "I"


@given(sentences(), st.sampled_from(SCHEMES))
def test_spans_come_back_from_every_scheme(sentence, scheme):
    spans, length = sentence
    tags, repairs = to_iob2(written(spans, length, scheme), scheme)
    assert list(spans_of(tags)) == spans
    assert repairs == 0


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_scheme_is_found(scheme):
    spans = [("PER", 0, 1), ("PER", 1, 4), ("LOC", 5, 7), ("LOC", 7, 8)]
    tags = [written(spans, 9, scheme), written([("PER", 1, 3)], 4, scheme)]
    assert detect_scheme(tags) == scheme


def test_a_file_without_spans_is_iob2():
    assert detect_scheme([["O", "O"], []]) == "IOB2"


def test_prefixes_of_two_schemes_are_refused():
    with pytest.raises(ValueError, match=r"must be of one scheme.*got the prefixes B, I, M"):
        detect_scheme([["B-A", "I-A", "M-A"]])


def test_a_tag_that_goes_on_with_nothing_is_a_repair():
    tags = ["I-PER", "I-PER", "O", "B-LOC", "I-PER"]
    assert to_iob2(tags, "IOB2") == (["B-PER", "I-PER", "O", "B-LOC", "B-PER"], 2)
    assert to_iob2(tags, "IOB1") == (["B-PER", "I-PER", "O", "B-LOC", "B-PER"], 0)
    assert to_iob2(["E-PER", "M-PER"], "BMES") == (["B-PER", "B-PER"], 2)


@pytest.mark.parametrize("tag", ["PER", "X-PER", "B-", "-PER", "", "o"])
def test_a_tag_of_no_scheme_is_refused(tag):
    with pytest.raises(ValueError, match=f"a tag must be O.*got {tag!r}"):
        split_tag(tag)


def test_types_may_have_hyphens_and_dots():
    assert split_tag("B-PER.NAM-X") == ("B", "PER.NAM-X")
    assert list(itertools.chain(split_tag("O"))) == ["", ""]
