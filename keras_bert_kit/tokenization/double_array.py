"""A map from code points to numbers, as a Darts-clone double array over their UTF-8 bytes.

Words used below:
    cell: what a node of the trie holds for one byte. 0 is nothing, a number with `VALUE_BIT` set
        is the value of a code point, any other number is the id of a node.
    node: a dict from byte to cell. The root is node 0.
    unit: one uint32 of the double array. Bits 0 to 7 are the byte that leads to it, bit 8 says
        that a value follows, bits 10 to 30 are the offset to what follows, and bit 31 marks a
        unit that no byte leads to: a value, or one not in use.
    base: the position in the double array to which the bytes of a node are added by exclusive or.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

VALUE_BIT = 1 << 30
_HAS_VALUE = 0x100
_NO_BYTE = 0x80000000
_OFFSET_SHIFT = 10
_BLOCK = 256


def build_double_array(values: np.ndarray) -> np.ndarray:
    """Build the double array that finds the value of a code point by its UTF-8 bytes.

    Equal nodes are stored once, and so are equal values. A unit names the byte that leads to it
    and no two nodes have the same base, so a byte that a node lacks never finds the unit of
    another node.

    Args:
        values: int32 array (0x110000,), for each code point 0 or a number with `VALUE_BIT` set.
            That of code point 0 is left out, because the reader of the array ends at byte 0.

    Returns:
        uint32 array. Its length is a multiple of 256, so each base plus any byte lies inside.

    References:
        https://github.com/s-yata/darts-clone
    """
    nodes = _nodes(values)
    bases, positions, length = _places(nodes)
    units = np.full(length, _NO_BYTE, np.uint32)
    for value, position in positions.items():
        units[position] = _NO_BYTE | value
    units[0] = bases[0] << _OFFSET_SHIFT
    for base, node in zip(bases, nodes, strict=True):
        for byte, cell in node.items():
            flag, target = (_HAS_VALUE, positions[cell]) if cell & VALUE_BIT else (0, bases[cell])
            units[base ^ byte] = byte | flag | (base ^ byte ^ target) << _OFFSET_SHIFT
    return units


def _nodes(values: np.ndarray) -> list[dict[int, int]]:
    """Turn the values of all code points into a trie with equal nodes merged.

    Args:
        values: int32 array (0x110000,).

    Returns:
        list of nodes, the root first. The id of a node is its place in the list.
    """
    nodes: list[dict[int, int]] = [{}]
    ids = {bytes(4 * 64): 0}  # no cell leads to the root, so its id can mean nothing

    def merge(rows: np.ndarray) -> np.ndarray:
        keys = [row.tobytes() for row in rows]
        for key, row in zip(keys, rows, strict=True):
            if key not in ids:
                ids[key] = len(nodes)
                nodes.append({0x80 | int(i): int(row[i]) for i in np.flatnonzero(row)})
        return np.array([ids[key] for key in keys], np.int32)

    # UTF-8 takes the fewest bytes that hold a code point, so the first cells of each level
    # belong to a shorter form: they are split off before the level is grouped into nodes.
    values = values.astype(np.int32)
    one_byte, values[:0x80] = values[:0x80].copy(), 0
    last = merge(values.reshape(-1, 64))  # (0x4400,)
    two_bytes, last[:0x20] = last[:0x20].copy(), 0
    middle = np.zeros(5 * 64, np.int32)
    middle[:0x110] = merge(last.reshape(-1, 64))
    three_bytes, middle[:0x10] = middle[:0x10].copy(), 0
    four_bytes = merge(middle.reshape(-1, 64))  # (5,)

    leads = {0: one_byte, 0xC0: two_bytes, 0xE0: three_bytes, 0xF0: four_bytes}
    for lead, row in leads.items():
        nodes[0] |= {lead | int(i): int(row[i]) for i in np.flatnonzero(row)}
    nodes[0].pop(0, None)  # code point 0 is left out
    return nodes


def _places(nodes: list[dict[int, int]]) -> tuple[list[int], dict[int, int], int]:
    """Put every node into the first gap that fits, fullest first, and then every value.

    Args:
        nodes: list of nodes, the root first.

    Returns:
        tuple of the base of each node, a dict from each value to its position, and the length of
        the array.
    """
    used = bytearray(_BLOCK)
    used[0] = 1  # the root's unit
    bases: dict[int, int] = {}
    for node_id in sorted(range(len(nodes)), key=lambda i: -len(nodes[i])):
        node = list(nodes[node_id]) or [1]  # without any value the root is empty
        taken = bases.values()
        bases[node_id] = next(base for base in _fits(node, used) if base not in taken)
        for byte in node:
            used[bases[node_id] ^ byte] = 1
    values = {cell for node in nodes for cell in node.values() if cell & VALUE_BIT}
    positions = dict(zip(sorted(values), _gaps(used), strict=False))
    return [bases[i] for i in range(len(nodes))], positions, len(used)


def _fits(node: list[int], used: bytearray) -> Iterator[int]:
    """Yield the bases at which the units of all bytes of a node are free."""
    first, *others = node
    for position in _gaps(used):
        base = position ^ first
        if not any(used[base ^ byte] for byte in others):
            yield base


def _gaps(used: bytearray) -> Iterator[int]:
    """Yield the free positions of an array in order, and make it longer when there are no more."""
    position = -1
    while True:
        position = used.find(0, position + 1)
        if position < 0:
            position = len(used)
            used.extend(bytes(_BLOCK))
        yield position
