"""Strategies for what OTLP carries: texts, values of every kind, times, counts."""

from __future__ import annotations

import math

from hypothesis import strategies as st

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalars = st.one_of(
    st.none(),
    texts,
    st.sampled_from(["", "0", "false", "[1", '{"a":', "\0", "é😀", "'\"\\\n\t/", "\x12\x04\x32\x02\x0a"]),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0, 2**63 - 1, -(2**63), 2**53 + 1]),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1.0, 1e20, 1e21, 1e22, 1e-6, 1e-7, 5e-324, math.inf, -math.inf, math.nan, 0.1]),
    st.binary(max_size=8),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
keys = texts | st.sampled_from(["service.name", "gen_ai.tool.name", "driftline.pending", "a", "a"])
attributes = st.lists(st.tuples(keys, values), max_size=5)
times = st.one_of(
    st.integers(1_700_000_000_000_000_000, 1_800_000_000_000_000_000),
    st.sampled_from([0, 1, 2**63 - 1, 2**63, 2**64 - 1]),
)
counts = st.integers(0, 2**32 - 1)
