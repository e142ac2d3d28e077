"""Identity resolution: which cookies, calls, forms and contacts are one person.

Observed facts are edges with a distance: the closer to proof, the shorter. Every node goes to the
nearest customer, and one that is equally near to two goes to none of them. The method is described
in docs/methods/identity.md.
"""

from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

NOBODY = -1
"""In place of a node: not reached, or reached from nowhere."""

RESOLVED = pa.schema(
    [
        ("node", pa.int64()),
        ("person_node", pa.int64()),
        ("rule", pa.string()),
        ("via_node", pa.int64()),
        ("steps", pa.int64()),
        ("distance", pa.int64()),
        ("is_conflict", pa.bool_()),
    ]
)
"""Columns of resolved identities."""


def resolve_identities(nodes: pa.Table, edges: pa.Table, merges: pa.Table) -> pa.Table:
    """Say which person every node of an identity graph belongs to.

    1. Customers joined by merges, directly or over other customers, are one customer person. Its
       anchor is its smallest customer.
    2. A node belongs to the customer person at the smallest total distance over edges. Where two
       or more are equally near, the node is in conflict: a person of its own, and no path leads
       through it. A node that a conflict cuts off from the nearest customer can still belong to
       one farther away, by another path.
    3. What is then left is out of reach of any customer: it never had one, or only behind
       conflicts. Without settled nodes and conflicts it falls into connected parts, and each part
       is one anonymous person, whose anchor is its smallest node.

    A person is named by its smallest node, which need not be its anchor: in a graph numbered by
    time, a cookie can be older than its customer. Of several paths of the same length to the same
    person, that with the shortest last edge is told, then that from the smallest node, then that
    with the first rule by name.

    Parameters
    ----------
    nodes
        `node`: 0 to n - 1, each once; `is_customer`: boolean. In any order.
    edges
        `left_node` and `right_node`, in either direction; `distance`: whole number, at least 1;
        `rule`: text. Repeated edges and edges from a node to itself change nothing.
    merges
        `left_node` and `right_node`, both customers; `rule`: text.

    Returns
    -------
    pa.Table
        One row per node, in their order. `person_node`: smallest node of the person. `rule` and
        `via_node`: the edge or merge by which the node was reached and the neighbour it leads
        to; null at anchors and conflicts. `steps`: edges and merges back to the anchor.
        `distance`: to the nearest customer of the person, or to the anonymous anchor; 0 at all
        customers, anchors and conflicts. `is_conflict`: equally near to two customer persons.

    Raises
    ------
    ValueError
        If a column or a value is missing, nodes are not numbered 0 to n - 1, an edge or a merge
        names another node, a merge a node that is no customer, or a distance is less than 1.

    Notes
    -----
    Dijkstra (1959) from all customers at once, in rounds of equal distance. Work grows with the
    edges, and a little with the largest distance.
    """
    is_customer = _customers(nodes)
    links = _links(edges, "edges", np.ones_like(is_customer), with_distance=True)
    merged = _links(merges, "merges", is_customer, with_distance=False)
    customers = np.flatnonzero(is_customer)

    groups = _smallest_of_part(merged, is_customer)
    among = _spread(merged, np.unique(groups[customers]), groups, is_customer)
    reached = _spread(links, customers, groups, np.ones_like(is_customer))

    is_left = reached.anchor == NOBODY
    parts = _smallest_of_part(links, is_left)
    rest = _spread(links, np.unique(parts[is_left]), parts, is_left)

    every_node = np.arange(len(is_customer))
    anchor = np.where(is_left, rest.anchor, reached.anchor)
    anchor[reached.is_conflict] = every_node[reached.is_conflict]
    distance = np.where(is_left, rest.distance, reached.distance)
    distance[reached.is_conflict] = 0
    person = np.full_like(every_node, len(every_node))
    np.minimum.at(person, anchor, every_node)

    # No path leads on from a conflict: as its own anchor it shares none with its neighbours.
    via, rule = _arrivals(links, anchor, distance)
    via_customer, merge_rule = _arrivals(merged, among.anchor, among.distance)
    is_merged = via_customer != NOBODY
    via[is_merged] = via_customer[is_merged]
    texts = _texts(links.rules, rule, rule != NOBODY)
    merge_texts = _texts(merged.rules, merge_rule, is_merged)
    return pa.table(
        {
            "node": every_node,
            "person_node": person[anchor],
            "rule": pc.if_else(is_merged, merge_texts, texts),
            "via_node": pa.array(via, mask=via == NOBODY),
            "steps": _steps(via),
            "distance": distance,
            "is_conflict": reached.is_conflict,
        },
        schema=RESOLVED,
    )


def path_confidences(resolved: pa.Table, rules: pa.Table) -> pa.Array:
    """Multiply the confidences of the rules along each node's path to its anchor.

    As if ties were right or wrong independently of each other. An anchor has 1, and a conflict,
    which is nobody's, null.

    Parameters
    ----------
    resolved
        What `resolve_identities` returns.
    rules
        `rule`, each that is told once; `confidence`: in (0, 1].

    Returns
    -------
    pa.Array
        Shape (nodes,), in their order.

    Raises
    ------
    ValueError
        If a rule is told that is not listed, or a confidence is out of range.
    """
    rule = _column(rules, "rules", "rule", pa.string())
    confidence = _column(rules, "rules", "confidence", pa.float64()).to_numpy()
    if not ((confidence > 0) & (confidence <= 1)).all():
        raise ValueError("The confidence of a rule is more than 0 and at most 1.")
    told = resolved["rule"].combine_chunks()
    place = pc.index_in(told, rule).fill_null(-1).to_numpy()
    is_start = told.is_null().to_numpy(zero_copy_only=False)
    unknown = told.filter(pa.array(~is_start & (place < 0)))
    if len(unknown):
        raise ValueError(f"The rule {unknown[0].as_py()!r} is not in the table of rules.")

    product = np.append(confidence, 1.0)[place]
    via = resolved["via_node"].combine_chunks().fill_null(NOBODY).to_numpy()
    back = np.where(is_start, np.arange(len(via)), via)
    while not is_start[back].all():
        # Anchors have 1, so that what is already there is multiplied by nothing more.
        product *= product[back]
        back = back[back]
    is_conflict = resolved["is_conflict"].combine_chunks().to_numpy(zero_copy_only=False)
    return pa.array(product, mask=is_conflict)


@dataclass(frozen=True)
class _Links:
    """What joins nodes, in both directions and ordered by the node it leads from.

    Attributes
    ----------
    begin
        Shape (n + 1,): where the links of each node begin, and where the last one's end.
    source, target, distance, rule
        Shape (links,): nodes, length, and place in `rules`.
    rules
        Sorted.
    """

    begin: IntArray
    source: IntArray
    target: IntArray
    distance: IntArray
    rule: IntArray
    rules: pa.Array

    def of(self, nodes: IntArray) -> IntArray:
        """Places of the links of some nodes."""
        begin = self.begin[nodes]
        count = self.begin[nodes + 1] - begin
        end = np.cumsum(count)
        return np.asarray(np.arange(count.sum()) + np.repeat(begin - end + count, count))


@dataclass(frozen=True)
class _Reach:
    """Where a spread came, shape (n,) each.

    Attributes
    ----------
    anchor
        Of the nearest sources, `NOBODY` where none came. Of a conflict, any of the nearest.
    distance
        To the nearest source, 0 where none came.
    is_conflict
        Whether sources of different anchors are equally near.
    """

    anchor: IntArray
    distance: IntArray
    is_conflict: BoolArray


def _spread(links: _Links, sources: IntArray, anchors: IntArray, may_pass: BoolArray) -> _Reach:
    """Give nodes the anchor of the nearest source; conflicts pass nothing on.

    Links are at least 1 long, so that everything that arrives at a distance was sent before, and
    nodes settle in rounds of one distance each.
    """
    anchor = np.full(len(anchors), NOBODY)
    distance = np.zeros_like(anchor)
    is_conflict = np.zeros(len(anchor), dtype=bool)
    is_open = may_pass.copy()
    place = np.empty_like(anchor)
    under_way: dict[int, list[tuple[IntArray, IntArray]]] = {0: [(sources, anchors[sources])]}
    rounds = [0]
    while rounds:
        now = heappop(rounds)
        arrived = under_way.pop(now)
        node, who = (np.concatenate(each) for each in zip(*arrived, strict=True))
        in_time = is_open[node]
        node, who = node[in_time], who[in_time]
        # Of several arrivals at a node one is written. All others agree with it, or none is right.
        anchor[node] = who
        is_conflict[node[anchor[node] != who]] = True
        distance[node] = now
        is_open[node] = False

        passing = node[~is_conflict[node]]
        place[passing] = np.arange(len(passing))
        passing = passing[place[passing] == np.arange(len(passing))]
        sent = links.of(passing)
        sent = sent[is_open[links.target[sent]]]
        if not len(sent):
            continue
        lengths = links.distance[sent]
        order = np.argsort(lengths, kind="stable")
        for some in np.split(sent[order], np.flatnonzero(np.diff(lengths[order])) + 1):
            then = now + int(links.distance[some[0]])
            if then not in under_way:
                under_way[then] = []
                heappush(rounds, then)
            under_way[then].append((links.target[some], anchor[links.source[some]]))
    return _Reach(anchor, distance, is_conflict)


def _arrivals(links: _Links, anchor: IntArray, distance: IntArray) -> tuple[IntArray, IntArray]:
    """Neighbour and rule by which each node was reached; `NOBODY` at those that were not."""
    ends_there = (anchor[links.source] == anchor[links.target]) & (
        distance[links.source] + links.distance == distance[links.target]
    )
    last = np.flatnonzero(ends_there)
    # Worst first: of several that are written to a node, the last one stays.
    order = np.lexsort((links.rule[last], links.source[last], links.distance[last]))[::-1]
    last = last[order]
    via = np.full(len(anchor), NOBODY)
    rule = np.full(len(anchor), NOBODY)
    via[links.target[last]] = links.source[last]
    rule[links.target[last]] = links.rule[last]
    return via, rule


def _steps(via: IntArray) -> IntArray:
    """Count steps back to where `via` leads no further, twice as far in every round."""
    is_start = via == NOBODY
    back = np.where(is_start, np.arange(len(via)), via)
    steps = np.where(is_start, 0, 1)
    while (steps[back] > 0).any():
        steps += steps[back]
        back = back[back]
    return steps


def _smallest_of_part(links: _Links, is_in: BoolArray) -> IntArray:
    """Smallest node of the connected part that each node is in, following links among `is_in`."""
    n = len(is_in)
    inside = is_in[links.source] & is_in[links.target]
    begin = np.concatenate([[0], np.cumsum(inside)])[links.begin]
    target = links.target[inside]
    graph = csr_array((np.ones(len(target)), target, begin), shape=(n, n))
    _, part = connected_components(graph, directed=False)
    smallest = np.full(n, n)
    np.minimum.at(smallest, part, np.arange(n))
    return np.asarray(smallest[part])


def _customers(nodes: pa.Table) -> BoolArray:
    """Whether each node is a customer, in their order."""
    node = _numbers(nodes, "nodes", "node")
    is_customer = _column(nodes, "nodes", "is_customer", pa.bool_())
    order = np.argsort(node)
    if not np.array_equal(node[order], np.arange(len(node))):
        raise ValueError(
            f"Nodes are numbered 0 to n - 1, each once; the {len(node)} nodes here are not."
        )
    return np.asarray(is_customer.to_numpy(zero_copy_only=False)[order])


def _links(table: pa.Table, name: str, allowed: BoolArray, *, with_distance: bool) -> _Links:
    """Read edges or merges, and put them in both directions."""
    left, right = (_numbers(table, name, column) for column in ("left_node", "right_node"))
    for nodes in (left, right):
        unknown = nodes[(nodes < 0) | (nodes >= len(allowed))]
        if len(unknown):
            raise ValueError(f"There are {name} to node {unknown.min()}, which is not in nodes.")
        refused = nodes[~allowed[nodes]]
        if len(refused):
            raise ValueError(f"{name} join customers; node {refused.min()} is none.".capitalize())
    distance = _numbers(table, name, "distance") if with_distance else np.ones_like(left)
    if len(distance) and distance.min() < 1:
        raise ValueError(f"Distances are at least 1; there is one of {distance.min()}.")
    text = _column(table, name, "rule", pa.string())
    rules = text.unique().sort()
    rule = pc.index_in(text, rules).to_numpy(zero_copy_only=False).astype(np.int64)

    source = np.concatenate([left, right])
    order = np.argsort(source, kind="stable")
    return _Links(
        begin=np.concatenate([[0], np.cumsum(np.bincount(source, minlength=len(allowed)))]),
        source=source[order],
        target=np.concatenate([right, left])[order],
        distance=np.concatenate([distance, distance])[order],
        rule=np.concatenate([rule, rule])[order],
        rules=rules,
    )


def _numbers(table: pa.Table, name: str, column: str) -> IntArray:
    return np.asarray(_column(table, name, column, pa.int64()).to_numpy(zero_copy_only=False))


def _column(table: pa.Table, name: str, column: str, kind: pa.DataType) -> pa.Array:
    """Read a column of known type, without gaps."""
    if column not in table.column_names:
        raise ValueError(f"The table of {name} has no column {column}.")
    values = pc.cast(table[column], kind).combine_chunks()
    if values.null_count:
        raise ValueError(f"The column {column} of {name} has {values.null_count} empty values.")
    return values


def _texts(rules: pa.Array, rule: IntArray, is_known: BoolArray) -> pa.Array:
    """Put the names of rules, null where there is none."""
    return rules.take(pa.array(rule, mask=~is_known))
