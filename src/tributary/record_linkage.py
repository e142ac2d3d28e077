"""Probabilistic record linkage: which customer records are probably the same person.

The model of Fellegi and Sunter (1969) as splink fits it, on DuckDB: agreement on a name, a date or
an address is evidence in bits, weighed by how often it agrees in matches and by chance. Described
in docs/methods/identity.md.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import splink.comparison_library as compare
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from splink import DuckDBAPI, Linker, SettingsCreator, block_on
from splink.internals.exceptions import EMTrainingException

IntArray = npt.NDArray[np.int64]

LEAST_RECORDS = 50
"""From fewer there is no learning how much an agreement means, and nothing is matched."""

MOST_PER_BLOCK = 50
"""Records that are compared with each other because they agree on something. More than these
agree on something common, which is no reason to compare."""

RECALL_OF_SURE_PAIRS = 0.7
"""Which share of all matches agree on something that is hardly ever shared by chance: a guess, the
one that splink's tutorial makes. It moves all probabilities together."""

RANDOM_PAIRS = 2e6
"""Pairs drawn at random to see how often columns agree by chance, and at most as many that agree on
one column to see how often the others do."""

COMPARISONS = {
    "first_name": compare.NameComparison("first_name"),
    "last_name": compare.NameComparison("last_name"),
    "birth_date": compare.DateOfBirthComparison("birth_date", input_is_string=True),
    "city": compare.ExactMatch("city").configure(term_frequency_adjustments=True),
    "email": compare.EmailComparison("email"),
    "phone": compare.DamerauLevenshteinAtThresholds("phone", 1),
}
"""How each column is compared: as splink's own comparisons do, that of phones allows one typo."""

SURE = (
    ("email",),
    ("phone",),
    ("first_name", "last_name", "birth_date"),
)
"""Columns on which hardly any two persons agree."""

BLOCKS = (
    *SURE[:2],
    ("first_name", "last_name"),
    ("first_name", "birth_date"),
    ("last_name", "birth_date"),
    ("birth_date", "city"),
    ("first_name", "city"),
    ("last_name", "city"),
    ("first_name",),
    ("last_name",),
    ("birth_date",),
)
"""Records that agree on all columns of a row are compared, if at most `MOST_PER_BLOCK` do."""

TRAINING = (
    (("first_name", "last_name"), ("email",), ("first_name",), ("last_name",)),
    (("birth_date",), ("phone",), ("email",), ("city",)),
)
"""What pairs agree on from which the other columns' weights are learned: of each row the first
that there is. What is agreed on cannot be learned from the same pairs, hence two rows."""


def match_records(records: pa.Table, threshold: float, seed: int = 1) -> pa.Table:
    """Find pairs of customer records that are probably the same person.

    Parameters
    ----------
    records
        `record_key`: each once. Any of `first_name`, `last_name`, `birth_date` (a date, or text as
        2001-12-31), `city`, `email`, `phone`: empty or mistyped here and there. Case and outer
        spaces do not count; a column that is absent or empty throughout is left out.
    threshold
        Least probability of a pair, more than 0 and at most 1.
    seed
        Of the random pairs. Only with more than about 2,000 records is there anything to draw.

    Returns
    -------
    pa.Table
        `left_key`, `right_key`, `probability`: one row per pair, the smaller key on the left, in
        order of the keys. Nothing where there is too little to learn from: fewer than
        `LEAST_RECORDS` records or two usable columns, or no two records that agree on something
        `SURE`.

    Raises
    ------
    ValueError
        If the keys are absent, empty or repeated, or the threshold is out of range.

    Notes
    -----
    One thread, records numbered by their key and samples drawn by a hash of that number: the same
    records and seed give the same pairs and, on the same machine and versions, the same bits.
    Nothing is printed, fetched, or written outside of a temporary folder.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"The threshold is more than 0 and at most 1, not {threshold}.")
    keys = _keys(records)
    pairs = None
    if len(keys) >= LEAST_RECORDS:
        with _database() as connection, _silence():
            columns = _clean(connection, records.take(pc.sort_indices(records["record_key"])))
            if len(columns) > 1:
                pairs = _match(connection, columns, threshold, seed)
    if pairs is None:
        nothing = pa.array([], pa.int64())
        pairs = pa.table([nothing, nothing, nothing.cast(pa.float64())], ["l", "r", "p"])
    left, right, probability = pairs.columns
    return pa.table(
        {
            "left_key": keys.take(left.combine_chunks()),
            "right_key": keys.take(right.combine_chunks()),
            "probability": probability,
        }
    )


def _keys(records: pa.Table) -> pa.Array:
    """Keys of the records in their order."""
    if "record_key" not in records.column_names:
        raise ValueError("The table of records has no column record_key.")
    keys = records["record_key"].combine_chunks()
    if keys.null_count:
        raise ValueError(f"The column record_key of records has {keys.null_count} empty values.")
    if pc.count_distinct(keys).as_py() != len(keys):
        raise ValueError("The column record_key of records has repeated values.")
    return keys.take(pc.sort_indices(keys))


@contextmanager
def _database() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database in memory that spills into a temporary folder and sums in one order."""
    with (
        TemporaryDirectory() as folder,
        duckdb.connect(config={"threads": 1, "temp_directory": folder}) as connection,
    ):
        yield connection


@contextmanager
def _silence() -> Iterator[None]:
    """Keep splink's advice to people who build a model interactively from our users."""
    logger = logging.getLogger("splink")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _clean(connection: duckdb.DuckDBPyConnection, records: pa.Table) -> list[str]:
    """Make the table `customers`, numbered from 0, and tell which columns can be compared."""
    present = [column for column in COMPARISONS if column in records.column_names]
    texts = [f"nullif(lower(trim({column}::varchar)), '') as {column}" for column in present]
    connection.register("records", records)
    connection.execute(
        f"""
        create table customers as
        select {", ".join(["row_number() over () - 1 as record", *texts])}
        from records
        """  # noqa: S608 - names of our own
    )
    return [
        column
        for column in present
        if connection.execute(f"select count({column}) > 0 from customers").fetchall()[0][0]  # noqa: S608
    ]


def _match(
    connection: duckdb.DuckDBPyConnection, columns: list[str], threshold: float, seed: int
) -> pa.Table | None:
    """Score pairs of record numbers, in order; None where nothing can be learned."""
    blocks = [block for block in BLOCKS if set(block) <= set(columns)]
    sure = [block for block in SURE if set(block) <= set(columns)] or blocks[:1]
    _block(connection, columns, [*blocks, *sure])
    prior = _prior(connection, [_block_name(block) for block in sure])
    if prior is None:
        return None
    api = DuckDBAPI(connection)
    linker = Linker(
        api.register("blocked_customers"),
        SettingsCreator(
            link_type="dedupe_only",
            unique_id_column_name="record",
            probability_two_random_records_match=prior,
            comparisons=[COMPARISONS[column] for column in columns],
            blocking_rules_to_generate_predictions=[
                block_on(_block_name(block)) for block in blocks
            ],
            retain_matching_columns=False,
        ),
        log_level=None,
    )
    linker.training.estimate_u_using_random_sampling(
        max_pairs=RANDOM_PAIRS, seed=seed, min_count_per_level=None
    )
    if not _learn(linker, columns):
        return None
    scored = linker.inference.predict(threshold_match_probability=threshold)
    return connection.execute(
        f"""
        select record_l, record_r, match_probability
        from {scored.physical_name}
        order by record_l, record_r
        """  # noqa: S608 - name made by splink
    ).to_arrow_table()


def _learn(linker: Linker, columns: list[str]) -> bool:
    """Learn from pairs that agree on something how often they agree on the rest, if there are."""
    unused = set(columns)
    has_learned = False
    for alternatives in TRAINING:
        agreed = next((each for each in alternatives if set(each) <= unused), None)
        if agreed is None:
            continue
        unused -= set(agreed)
        try:
            linker.training.estimate_parameters_using_expectation_maximisation(
                block_on(*agreed), max_pairs=RANDOM_PAIRS, record_sample_proportion=1.0
            )
        except EMTrainingException:  # no such pairs
            continue
        has_learned = True
    return has_learned


def _block_name(block: tuple[str, ...]) -> str:
    return "_".join(["block", *block])


def _block(
    connection: duckdb.DuckDBPyConnection, columns: list[str], blocks: list[tuple[str, ...]]
) -> None:
    """Name the blocks of each kind by their first record, and leave large ones out."""
    selected = ["record", *columns]
    for block in dict.fromkeys(blocks):
        among = ", ".join(block)
        known = " and ".join(f"{column} is not null" for column in block)
        selected.append(
            f"""
            case
                when {known} and count(*) over (partition by {among}) <= {MOST_PER_BLOCK}
                    then min(record) over (partition by {among})
            end as {_block_name(block)}
            """
        )
    connection.execute(
        f"create table blocked_customers as select {', '.join(selected)} from customers "  # noqa: S608
        "order by record"
    )


def _prior(connection: duckdb.DuckDBPyConnection, sure: list[str]) -> float | None:
    """Probability that two random records match; None where no two agree on anything sure."""
    pairs = " union ".join(
        f"""
        select l.record as l, r.record as r
        from blocked_customers as l
        inner join blocked_customers as r on l.{name} = r.{name} and l.record < r.record
        """  # noqa: S608 - names of our own
        for name in sure
    )
    (counts,) = connection.execute(
        f"select (select count(*) from ({pairs})), (select count(*) from customers)"  # noqa: S608
    ).fetchall()
    agreeing, records = counts
    if not agreeing:
        return None
    return float(min(0.5, agreeing / RECALL_OF_SURE_PAIRS / (records * (records - 1) / 2)))


@dataclass(frozen=True)
class LinkageQuality:
    """How well records are put together, counted in pairs of records.

    Attributes
    ----------
    found, true, right
        Pairs that were put together, that belong together, and both.
    """

    found: int
    true: int
    right: int

    @property
    def precision(self) -> float:
        """Share of the found pairs that are true; 1 where nothing is found."""
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Share of the true pairs that are found; 1 where there are none."""
        return self.right / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 where nothing is found and nothing to find."""
        return 2 * self.right / (self.found + self.true) if self.found + self.true else 1.0


def linkage_quality(pairs: pa.Table, clusters: pa.Table) -> LinkageQuality:
    """Compare pairs with the truth, after joining pairs that share a record.

    Two records count as found when a chain of pairs leads from one to the other: that is what
    merging customers does, and one wrong pair can join two large persons.

    Parameters
    ----------
    pairs
        `left_key`, `right_key`: records put together.
    clusters
        `record_key`: all records, each once; `cluster`: the true person.

    Raises
    ------
    ValueError
        If a pair has a record that is not in the clusters.
    """
    keys = _keys(clusters)
    ordered = clusters.take(pc.sort_indices(clusters["record_key"]))
    ends = []
    for side in ("left_key", "right_key"):
        place = pc.index_in(pairs[side].cast(keys.type), keys).combine_chunks()
        if place.null_count:
            raise ValueError(f"{place.null_count} pairs have a {side} that is no record.")
        ends.append(place.to_numpy(zero_copy_only=False).astype(np.int64))
    n = len(keys)
    graph = coo_array((np.ones(len(pairs)), tuple(ends)), shape=(n, n)).tocsr()
    _, found = connected_components(graph, directed=False)
    truth = pc.dictionary_encode(ordered["cluster"]).combine_chunks().indices
    true = truth.to_numpy(zero_copy_only=False).astype(np.int64)
    both = found.astype(np.int64) * (n + 1) + true
    return LinkageQuality(*(_pairs_within(labels) for labels in (found, true, both)))


def _pairs_within(labels: npt.NDArray[np.integer]) -> int:
    """Count pairs of equal labels."""
    counts = np.unique(labels, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())
