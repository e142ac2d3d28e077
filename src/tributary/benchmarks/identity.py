"""How well customer records are put together: by exact rules, by probability, and by both."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from rich import box
from rich.table import Table

from tributary.record_linkage import LinkageQuality, linkage_quality, match_records

THRESHOLD = 0.9
"""Probability from which records are put together, unless told otherwise."""

THRESHOLDS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
"""What the curve shows."""

REQUIRED = {"unique_id": "record_key", "cluster": "cluster"}
OPTIONAL = {
    "first_name": "first_name",
    "surname": "last_name",
    "dob": "birth_date",
    "city": "city",
    "email": "email",
    "phone": "phone",
}
"""Columns of a labelled file, and what the library calls them."""

HEADINGS = ("Records joined by", "Probability from", "Precision", "Recall", "F1", "Wrong pairs")


@dataclass(frozen=True)
class Score:
    """How well one way of putting records together does.

    Attributes
    ----------
    method
        deterministic, probabilistic or both.
    threshold
        Least probability of a pair; None where none is asked.
    quality
        In pairs of records.
    """

    method: str
    threshold: float | None
    quality: LinkageQuality


def read_labelled(path: Path) -> pa.Table:
    """Read customer records whose true persons are known from a CSV file.

    Raises
    ------
    ValueError
        If there is no such file, it is no CSV, or it lacks `unique_id` or `cluster`.
    """
    try:
        with duckdb.connect() as connection:
            table = connection.read_csv(str(path), all_varchar=True).to_arrow_table()
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise ValueError(f"Cannot read {path}: {str(error).splitlines()[0]}") from None
    for column in REQUIRED:
        if column not in table.column_names:
            raise ValueError(f"{path} has no column {column}.")
    names = {old: new for old, new in (REQUIRED | OPTIONAL).items() if old in table.column_names}
    return table.select(list(names)).rename_columns(list(names.values()))


def deterministic_pairs(records: pa.Table) -> pa.Table:
    """Put records together by what they have exactly in common.

    As in the warehouse: the same e-mail and the same phone, and first names that do not differ.
    A file that has only one of the two contacts is judged by that one. The same first name, last
    name and birth date will do as well. Case and outer spaces do not count.

    Parameters
    ----------
    records
        As for `match_records`.

    Returns
    -------
    pa.Table
        `left_key`, `right_key`: one row per pair, in their order.
    """
    columns = [
        f"nullif(lower(trim({column}::varchar)), '') as {column}"
        if column in records.column_names
        else f"null::varchar as {column}"
        for column in OPTIONAL.values()
    ]
    contacts = [column for column in ("email", "phone") if column in records.column_names]
    same_contacts = " and ".join(f"l.{column} = r.{column}" for column in contacts) or "false"
    with duckdb.connect() as connection:
        connection.register("records", records)
        return connection.execute(
            f"""
            with customers as (

                select record_key, {", ".join(columns)}
                from records

            )

            select l.record_key as left_key, r.record_key as right_key
            from customers as l
            inner join customers as r on {same_contacts}
            where l.record_key < r.record_key
                and (l.first_name = r.first_name) is not false
            union
            select l.record_key as left_key, r.record_key as right_key
            from customers as l
            inner join customers as r
                on l.first_name = r.first_name
                    and l.last_name = r.last_name
                    and l.birth_date = r.birth_date
            where l.record_key < r.record_key
            order by left_key, right_key
            """  # noqa: S608 - names of our own
        ).to_arrow_table()


def linkage_scores(
    records: pa.Table,
    threshold: float = THRESHOLD,
    seed: int = 1,
    thresholds: Sequence[float] = THRESHOLDS,
) -> list[Score]:
    """Compare ways of putting records together with the truth.

    Parameters
    ----------
    records
        As for `match_records`, with the true `cluster`.
    threshold
        Least probability of a pair, for both ways together.
    seed
        Of `match_records`.
    thresholds
        Further probabilities to try, for the curve.

    Returns
    -------
    list of Score
        Exact rules, the probability from each threshold up, and both together.
    """
    exact = deterministic_pairs(records)
    tried = sorted({threshold, *thresholds})
    probable = match_records(records, tried[0], seed)

    def from_threshold(least: float) -> pa.Table:
        return probable.filter(pc.field("probability") >= least).drop_columns("probability")

    both = pa.concat_tables([exact, from_threshold(threshold)])
    return [
        Score("deterministic", None, linkage_quality(exact, records)),
        *(
            Score("probabilistic", least, linkage_quality(from_threshold(least), records))
            for least in tried
        ),
        Score("both", threshold, linkage_quality(both, records)),
    ]


def result_table(scores: Sequence[Score]) -> Table:
    """Show scores on a terminal."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if place else "left")
    for place, score in enumerate(scores):
        if place and score.method != scores[place - 1].method:
            table.add_section()
        quality = score.quality
        table.add_row(
            score.method,
            "" if score.threshold is None else f"{score.threshold:g}",
            *(f"{part:.4f}" for part in (quality.precision, quality.recall, quality.f1)),
            f"{quality.found - quality.right:,}",
        )
    return table
