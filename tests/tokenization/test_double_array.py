from __future__ import annotations

import numpy as np
import pytest

from keras_bert_kit.tokenization.double_array import VALUE_BIT, build_double_array

# The first and the last code point of each UTF-8 length, without code point 0.
EDGES = (0x1, 0x7F, 0x80, 0x7FF, 0x800, 0xFFFF, 0x10000, 0x10FFFF)
OF_EACH_LENGTH = {0x61: 1, 0xE1: 2, 0x4E00: 3, 0x10000: 4}


def values_of(points: dict[int, int]) -> np.ndarray:
    values = np.zeros(0x110000, np.int32)
    for point, value in points.items():
        values[point] = VALUE_BIT | value
    return values


def find(units: np.ndarray, utf8: bytes) -> int:
    """Walk the array as the op does: follow each byte, then read the value that follows."""
    position = 0
    for byte in utf8:
        position ^= (int(units[position]) >> 10) ^ byte
        if int(units[position]) & 0x800000FF != byte:
            return 0
    unit = int(units[position])
    return int(units[position ^ (unit >> 10)]) & 0x7FFFFFFF if unit & 0x100 else 0


def test_finds_the_edges_and_nothing_beside_them():
    units = build_double_array(values_of({point: point for point in EDGES}))
    for edge in EDGES:
        assert find(units, chr(edge).encode()) == VALUE_BIT | edge
    for point in range(1, 0x3000):
        if point not in EDGES:
            assert find(units, chr(point).encode()) == 0, hex(point)


def test_finds_every_value_of_a_crowded_array():
    generator = np.random.default_rng(7)
    chosen = generator.choice(np.arange(1, 0xD800), 3701, replace=False)
    points = {int(point): int(generator.integers(0, 1 << 29)) for point in chosen}
    units = build_double_array(values_of(points))
    for point in range(1, 0xD800):
        expected = VALUE_BIT | points[point] if point in points else 0
        assert find(units, chr(point).encode()) == expected, hex(point)


@pytest.mark.parametrize("utf8", [b"\xc3", b"\xe4\xb8", b"\xf0\x90\x80", b"\xa1"])
def test_part_of_a_character_has_no_value(utf8):
    assert find(build_double_array(values_of(OF_EACH_LENGTH)), utf8) == 0


@pytest.mark.parametrize("utf8", [b"\xc1\xa1", b"\xe0\x83\xa1", b"\xf0\x84\xb8\x80"])
def test_a_character_written_with_too_many_bytes_has_no_value(utf8):
    assert find(build_double_array(values_of(OF_EACH_LENGTH)), utf8) == 0


def test_equal_nodes_and_equal_values_are_stored_once():
    one = build_double_array(values_of({0x10000: 5}))
    many = build_double_array(values_of(dict.fromkeys(range(0x40000, 0x100000), 5)))
    assert len(one) == 256
    assert len(many) <= 512


def test_without_values_nothing_is_found():
    units = build_double_array(values_of({}))
    assert len(units) == 256
    assert all(find(units, chr(point).encode()) == 0 for point in range(1, 0x3000))


def test_code_point_zero_is_left_out():
    assert np.array_equal(build_double_array(values_of({0: 1})), build_double_array(values_of({})))


def test_leaves_the_input_as_it_was():
    values = values_of({point: point for point in EDGES})
    before = values.copy()
    build_double_array(values)
    assert np.array_equal(values, before)
