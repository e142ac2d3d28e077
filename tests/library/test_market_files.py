from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from tributary import market_files
from tributary.cli import app
from tributary.market_files import market_of, write_market
from tributary.simulation import DEMO_CHANNELS, simulate

SEED = 3


def read(folder: Path, name: str) -> pa.Table:
    files = sorted(folder.glob(f"{name}*.parquet"))
    return pa.concat_tables(pyarrow.parquet.read_table(file) for file in files)


def in_order(table: pa.Table) -> pa.Table:
    return table.sort_by(table.column_names[0])


@pytest.mark.parametrize("channels", [1, 8, 9, 10, 30, 100])
def test_a_market_has_as_many_channels_as_asked_and_the_touches_of_the_demo(channels: int) -> None:
    market = market_of(channels, people=10)

    assert len(market.channels) == channels
    touches = sum(channel.touches_per_day for channel in market.channels)
    whole = sum(channel.touches_per_day for channel in DEMO_CHANNELS)
    if channels >= len(DEMO_CHANNELS):
        assert touches == pytest.approx(whole)
        # What reaches nobody is not cut: as many channels as asked for can be seen.
        assert sum(channel.touches_per_day == 0 for channel in market.channels) == 1


def test_the_market_of_the_demo_is_one_of_these() -> None:
    assert set(market_of(len(DEMO_CHANNELS), people=10).channels) == set(DEMO_CHANNELS)


def test_files_hold_the_market_one_per_week(tmp_path: Path) -> None:
    market = market_of(9, people=2_000, days=17)
    whole = simulate(market, SEED)

    rows = write_market(tmp_path, market, SEED)

    assert in_order(read(tmp_path, "sessions")) == in_order(whole.sessions)
    assert in_order(read(tmp_path, "conversions")) == in_order(whole.conversions)
    assert read(tmp_path, "spend") == whole.spend
    assert rows == {
        "sessions": whole.sessions.num_rows,
        "conversions": whole.conversions.num_rows,
        "spend": whole.spend.num_rows,
    }
    weeks = {file.stem: read(tmp_path, file.stem) for file in tmp_path.glob("sessions_*")}
    assert sorted(weeks) == ["sessions_2024-01-01", "sessions_2024-01-08", "sessions_2024-01-15"]
    for week in weeks.values():
        days = pc.days_between(pc.min(week["started_at"]), pc.max(week["started_at"]))
        assert days.as_py() < market_files.DAYS_PER_FILE


def test_long_ids_tell_the_same_people_apart(tmp_path: Path) -> None:
    market = market_of(9, people=2_000, days=17)
    (tmp_path / "short").mkdir()
    (tmp_path / "long").mkdir()

    write_market(tmp_path / "short", market, SEED)
    write_market(tmp_path / "long", market, SEED, has_long_ids=True)

    for name in ("sessions", "conversions"):
        short, long = read(tmp_path / "short", name), read(tmp_path / "long", name)
        assert short.num_rows == long.num_rows
        for column in (column for column in short.column_names if column.endswith("_id")):
            assert set(pc.utf8_length(long[column]).to_pylist()) == {20}
            assert len(pc.unique(long[column])) == len(pc.unique(short[column]))
        others = [column for column in short.column_names if not column.endswith("_id")]
        assert short.select(others) == long.select(others)


def test_row_groups_are_written_as_they_fill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(market_files, "ROWS_PER_GROUP", 500)

    rows = write_market(tmp_path, market_of(9, people=12_000, days=3), SEED)

    (file,) = tmp_path.glob("sessions_*")
    groups = pyarrow.parquet.ParquetFile(file).metadata
    assert groups.num_rows == rows["sessions"]
    assert groups.num_row_groups > 2


def test_a_folder_with_another_market_is_refused(tmp_path: Path) -> None:
    market = market_of(9, people=100, days=3)
    write_market(tmp_path, market, SEED)

    with pytest.raises(ValueError, match="is not empty"):
        write_market(tmp_path, market, SEED)


def test_nobody_and_no_channel_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="people is 0"):
        write_market(tmp_path, market_of(9, people=0), SEED)
    with pytest.raises(ValueError, match="There are 0 channels"):
        market_of(0, people=1)


def test_the_command_streams(tmp_path: Path) -> None:
    arguments = ["--people", "500", "--days", "9", "--output", str(tmp_path / "new")]

    result = CliRunner().invoke(app, ["simulate", "--stream", "--channels", "70", *arguments])

    assert result.exit_code == 0, result.output
    names = {file.name for file in (tmp_path / "new").iterdir()}
    assert names == {
        "sessions_2024-01-01.parquet",
        "sessions_2024-01-08.parquet",
        "conversions.parquet",
        "spend.parquet",
    }
    again = CliRunner().invoke(app, ["simulate", "--stream", *arguments])
    assert again.exit_code == 1
    assert "is not empty" in again.stderr


def test_the_demo_is_not_streamed() -> None:
    result = CliRunner().invoke(app, ["simulate", "--stream"])

    assert result.exit_code == 1
    assert "--stream needs an --output of its own" in " ".join(result.stderr.split())


def test_more_channels_without_streaming_are_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["simulate", "--channels", "70", "--output", str(tmp_path)])

    assert result.exit_code == 1
    assert "need --stream" in result.stderr
    assert not list(tmp_path.iterdir())
