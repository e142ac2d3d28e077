from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tributary.identity import RESOLVED, path_confidences, resolve_identities

Edge = tuple[int, int, int, str]
Merge = tuple[int, int, str]

NODES = pa.schema([("node", pa.int64()), ("is_customer", pa.bool_())])
EDGES = pa.schema(
    [
        ("left_node", pa.int64()),
        ("right_node", pa.int64()),
        ("distance", pa.int64()),
        ("rule", pa.string()),
    ]
)
MERGES = EDGES.remove(2)


def table(rows: Sequence[Sequence[object]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table([pa.array(column) for column in columns], names=schema.names).cast(schema)


def resolve(
    n: int, customers: set[int], edges: Sequence[Edge] = (), merges: Sequence[Merge] = ()
) -> list[dict[str, Any]]:
    nodes = table([(node, node in customers) for node in range(n)], NODES)
    rows: list[dict[str, Any]] = resolve_identities(
        nodes, table(edges, EDGES), table(merges, MERGES)
    ).to_pylist()
    return rows


def persons(rows: list[dict[str, Any]]) -> list[int]:
    return [row["person_node"] for row in rows]


def conflicts(rows: list[dict[str, Any]]) -> list[int]:
    return [row["node"] for row in rows if row["is_conflict"]]


def nearest(
    open_nodes: set[int], sources: dict[int, int], edges: Sequence[Edge]
) -> tuple[dict[int, int], dict[int, int], set[int]]:
    """Anchor and distance of each node by Dijkstra, a node at a time, and the conflicts."""
    anchor: dict[int, int] = {}
    distance: dict[int, int] = {}
    conflict: set[int] = set()
    queue = [(0, node, who) for node, who in sources.items()]
    while queue:
        now, node, who = heappop(queue)
        if node in distance:
            if distance[node] == now and anchor[node] != who:
                conflict.add(node)
            continue
        anchor[node], distance[node] = who, now
        # Whoever else arrives at this distance is in the queue already: edges are longer than 0.
        if any(each[:2] == (now, node) and each[2] != who for each in queue):
            conflict.add(node)
            continue
        for left, right, length, _ in edges:
            for source, target in ((left, right), (right, left)):
                if source == node and target in open_nodes:
                    heappush(queue, (now + length, target, who))
    return anchor, distance, conflict


def parts(nodes: set[int], pairs: Sequence[tuple[int, int]]) -> dict[int, int]:
    smallest = {node: node for node in nodes}
    for _ in nodes:
        for left, right in pairs:
            if left in nodes and right in nodes:
                smallest[left] = smallest[right] = min(smallest[left], smallest[right])
    return smallest


def naive(
    n: int, customers: set[int], edges: Sequence[Edge], merges: Sequence[Merge]
) -> list[dict[str, Any]]:
    everybody = set(range(n))
    group = parts(customers, [merge[:2] for merge in merges])
    anchor, distance, conflict = nearest(everybody, group, edges)
    rest = everybody - anchor.keys()
    part = parts(rest, [edge[:2] for edge in edges])
    rest_anchor, rest_distance, nothing = nearest(
        rest, {node: node for node in rest if part[node] == node}, edges
    )
    assert not nothing
    anchor |= rest_anchor
    distance |= rest_distance
    for node in conflict:
        anchor[node], distance[node] = node, 0

    hops = [(left, right, 1, rule) for left, right, rule in merges]
    merged, hop, _ = nearest(customers, {node: node for node in set(group.values())}, hops)
    via: dict[int, tuple[int, int, str]] = {}
    for links, who, far in ((edges, anchor, distance), (hops, merged, hop)):
        for left, right, length, rule in links:
            for source, target in ((left, right), (right, left)):
                if (
                    source in who
                    and who[source] == who[target]
                    and far[source] + length == far[target]
                ):
                    candidate = (length, source, rule)
                    via[target] = min(via.get(target, candidate), candidate)

    def steps(node: int) -> int:
        return 1 + steps(via[node][1]) if node in via else 0

    return [
        {
            "node": node,
            "person_node": min(other for other in everybody if anchor[other] == anchor[node]),
            "rule": via[node][2] if node in via else None,
            "via_node": via[node][1] if node in via else None,
            "steps": steps(node),
            "distance": distance[node],
            "is_conflict": node in conflict,
        }
        for node in range(n)
    ]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, set[int], list[Edge], list[Merge]]:
    n = draw(st.integers(1, 12))
    node = st.integers(0, n - 1)
    customers = draw(st.sets(node, max_size=5))
    rule = st.sampled_from(["login", "email", "phone"])
    edges = draw(st.lists(st.tuples(node, node, st.integers(1, 4), rule), max_size=24))
    merges: list[Merge] = []
    if customers:
        customer = st.sampled_from(sorted(customers))
        merge_rule = st.sampled_from(["same_customer", "probabilistic"])
        merges = draw(st.lists(st.tuples(customer, customer, merge_rule), max_size=4))
    return n, customers, edges, merges


@given(graphs())
def test_agrees_with_dijkstra_node_by_node(
    graph: tuple[int, set[int], list[Edge], list[Merge]],
) -> None:
    assert resolve(*graph) == naive(*graph)


@given(graphs(), st.randoms(use_true_random=False))
def test_order_and_direction_and_repetition_change_nothing(
    graph: tuple[int, set[int], list[Edge], list[Merge]], random: Any
) -> None:
    n, customers, edges, merges = graph
    nodes = [(node, node in customers) for node in range(n)]
    turned: list[Edge] = [(right, left, *rest) for left, right, *rest in edges + edges[:2]]  # type: ignore[misc]
    turned_merges = [(right, left, rule) for left, right, rule in merges]
    for rows in (nodes, turned, turned_merges):
        random.shuffle(rows)

    result = resolve_identities(
        table(nodes, NODES), table(turned, EDGES), table(turned_merges, MERGES)
    )

    assert result.to_pylist() == resolve(*graph)


@given(graphs())
def test_a_path_leads_back_to_the_anchor(
    graph: tuple[int, set[int], list[Edge], list[Merge]],
) -> None:
    rows = resolve(*graph)
    for row in rows:
        node = row
        for _ in range(row["steps"]):
            assert node["rule"] is not None
            node = rows[node["via_node"]]
            assert node["person_node"] == row["person_node"]
            assert not node["is_conflict"]
        assert node["via_node"] is None
        assert node["rule"] is None


def test_the_nearest_customer_wins() -> None:
    # cookie 0 logs in as customer 1; customer 2 shares only its phone 3 with the cookie.
    rows = resolve(4, {1, 2}, [(0, 1, 1, "login"), (2, 3, 4, "phone"), (3, 0, 4, "phone")])

    assert persons(rows) == [0, 0, 2, 2]
    assert rows[0] == {
        "node": 0,
        "person_node": 0,
        "rule": "login",
        "via_node": 1,
        "steps": 1,
        "distance": 1,
        "is_conflict": False,
    }


def test_equally_near_to_two_customers_is_a_conflict_and_passes_nothing_on() -> None:
    # 0 - 2 - 1 with two customers at the ends; 3 and 4 hang behind the conflict 2.
    edges = [(0, 2, 3, "email"), (1, 2, 3, "email"), (2, 3, 1, "login"), (3, 4, 1, "login")]
    rows = resolve(5, {0, 1}, edges)

    assert persons(rows) == [0, 1, 2, 3, 3]
    assert conflicts(rows) == [2]
    assert rows[2]["rule"] is None
    assert rows[2]["distance"] == rows[2]["steps"] == 0
    assert rows[4]["distance"] == 1


def test_behind_a_conflict_every_connected_rest_is_a_person() -> None:
    # 3 is nearer to 5 than 4 is, but only through the conflict 2.
    edges = [(node, 2, 1, "login") for node in (0, 1, 3, 5)] + [(4, 5, 4, "phone")]

    assert persons(resolve(6, {0, 1}, edges)) == [0, 1, 2, 3, 4, 4]


def test_behind_a_conflict_a_customer_farther_away_still_counts() -> None:
    # 3 is nearest to the conflict 2, but customer 1 reaches it directly as well.
    edges = [(0, 2, 1, "login"), (1, 2, 1, "login"), (2, 3, 1, "login"), (1, 3, 4, "phone")]
    rows = resolve(4, {0, 1}, edges)

    assert persons(rows) == [0, 1, 2, 1]
    assert rows[3]["distance"] == 4


def test_merged_customers_are_one_and_not_in_conflict() -> None:
    edges = [(0, 2, 3, "email"), (1, 2, 3, "email")]
    rows = resolve(3, {0, 1}, edges, [(1, 0, "same_customer")])

    assert persons(rows) == [0, 0, 0]
    assert rows[1]["rule"] == "same_customer"
    assert (rows[1]["via_node"], rows[1]["steps"], rows[1]["distance"]) == (0, 1, 0)
    assert not conflicts(rows)


def test_steps_count_merges_back_to_the_anchor() -> None:
    rows = resolve(
        4,
        {0, 1, 2},
        [(2, 3, 1, "login")],
        [(0, 1, "same_customer"), (1, 2, "same_customer")],
    )

    assert [row["steps"] for row in rows] == [0, 1, 2, 3]
    assert [row["distance"] for row in rows] == [0, 0, 0, 1]


def test_the_oldest_node_names_the_person_and_growth_keeps_the_name() -> None:
    before = resolve(2, set(), [(0, 1, 2, "visitor")])
    after = resolve(4, {2}, [(0, 1, 2, "visitor"), (1, 2, 1, "login"), (2, 3, 3, "email")])

    assert persons(before) == [0, 0]
    assert persons(after) == [0, 0, 0, 0]


def test_of_equal_paths_the_strongest_edge_then_the_smallest_node_then_the_rule_is_told() -> None:
    #  customer 0 to 5: over 1 (2 + 2), over 2 (3 + 1), over 3 (3 + 1, two rules).
    edges = [
        (0, 1, 2, "visitor"),
        (1, 5, 2, "visitor"),
        (0, 2, 3, "email"),
        (2, 5, 1, "login"),
        (2, 5, 1, "app"),
        (0, 3, 3, "email"),
        (3, 5, 1, "aaa"),
    ]
    row = resolve(6, {0}, edges)[5]

    assert (row["via_node"], row["rule"], row["distance"]) == (2, "app", 4)


def test_loops_and_lonely_nodes_are_harmless() -> None:
    rows = resolve(3, {1}, [(0, 0, 1, "login"), (1, 1, 1, "login")], [(1, 1, "same_customer")])

    assert persons(rows) == [0, 1, 2]
    assert not any(row["rule"] for row in rows)


def test_nothing_gives_nothing() -> None:
    empty = resolve_identities(table([], NODES), table([], EDGES), table([], MERGES))

    assert empty.num_rows == 0
    assert empty.schema == RESOLVED
    untyped = pa.table({name: [] for name in NODES.names})
    assert resolve_identities(untyped, table([], EDGES), table([], MERGES)).num_rows == 0


def test_a_star_and_a_chain_of_ten_thousand() -> None:
    n = 10_000
    star = resolve(n, {0}, [(0, node, 3, "email") for node in range(1, n)])
    chain = resolve(n, {n - 1}, [(node, node + 1, 2, "visitor") for node in range(n - 1)])
    repeated = resolve(2, set(), [(0, 1, 1, "login")] * 1_024)

    assert set(persons(star)) == set(persons(chain)) == set(persons(repeated)) == {0}
    assert chain[0]["steps"] == n - 1
    assert chain[0]["distance"] == 2 * (n - 1)


def test_long_distances_cost_no_rounds() -> None:
    far = 10**12

    assert resolve(2, {0}, [(0, 1, far, "phone")])[1]["distance"] == far


@pytest.mark.parametrize(
    ("nodes", "edges", "merges", "message"),
    [
        ([(0, True), (2, False)], [], [], "numbered 0 to n - 1"),
        ([(0, True), (0, False)], [], [], "numbered 0 to n - 1"),
        ([(0, None)], [], [], "is_customer of nodes has 1 empty"),
        ([(0, True)], [(0, 7, 1, "login")], [], "edges to node 7, which is not in nodes"),
        ([(0, True)], [(-1, 0, 1, "login")], [], "edges to node -1"),
        ([(0, True)], [(0, 0, 0, "login")], [], "at least 1; there is one of 0"),
        ([(0, True)], [(0, 0, 1, None)], [], "rule of edges has 1 empty"),
        ([(0, True), (1, False)], [], [(0, 1, "same_customer")], "join customers; node 1 is none"),
        ([(0, True)], [], [(0, 3, "same_customer")], "merges to node 3"),
    ],
)
def test_what_cannot_be_resolved_is_refused(
    nodes: list[Any], edges: list[Any], merges: list[Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        resolve_identities(table(nodes, NODES), table(edges, EDGES), table(merges, MERGES))


def test_a_missing_column_is_named() -> None:
    nodes = table([(0, True)], NODES)
    with pytest.raises(ValueError, match="edges has no column distance"):
        resolve_identities(nodes, table([], MERGES), table([], MERGES))


def test_a_large_graph_is_quick_enough_to_be_vectorised() -> None:
    rng = np.random.default_rng(1)
    n = 100_000
    ends = rng.integers(0, n, (2, n))
    is_customer = rng.random(n) < 0.2
    rows = resolve_identities(
        pa.table({"node": np.arange(n), "is_customer": is_customer}),
        pa.table(
            {
                "left_node": ends[0],
                "right_node": ends[1],
                "distance": rng.integers(1, 5, n),
                "rule": ["email"] * n,
            }
        ),
        table([], MERGES),
    )

    person = rows["person_node"].to_numpy()
    conflict = rows["is_conflict"].to_numpy()
    assert 0 < conflict.sum() < n
    assert np.array_equal(person[conflict], np.flatnonzero(conflict))
    assert np.unique(person[is_customer]).size == is_customer.sum()


@given(graphs())
def test_confidences_multiply_step_by_step(
    graph: tuple[int, set[int], list[Edge], list[Merge]],
) -> None:
    rows = resolve(*graph)
    rules = sorted({row["rule"] for row in rows if row["rule"]})
    confidence = {rule: 1 / (place + 2) for place, rule in enumerate(rules)}

    def expected(node: int) -> float | None:
        if rows[node]["is_conflict"]:
            return None
        product = 1.0
        while rows[node]["rule"]:
            product *= confidence[rows[node]["rule"]]
            node = rows[node]["via_node"]
        return product

    table_of_rules = pa.table(
        {
            "rule": pa.array(confidence, pa.string()),
            "confidence": pa.array(confidence.values(), pa.float64()),
        }
    )
    found = path_confidences(pa.Table.from_pylist(rows, RESOLVED), table_of_rules).to_pylist()
    assert found == pytest.approx([expected(node) for node in range(len(rows))])


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"rule": ["email"], "confidence": [0.5]}, "The rule 'phone' is not in the table"),
        ({"rule": ["phone"], "confidence": [1.5]}, "more than 0 and at most 1"),
    ],
)
def test_rules_must_be_known_and_probable(rules: dict[str, list[Any]], message: str) -> None:
    resolved = pa.Table.from_pylist(resolve(2, {0}, [(0, 1, 1, "phone")]), RESOLVED)
    with pytest.raises(ValueError, match=message):
        path_confidences(resolved, pa.table(rules))
