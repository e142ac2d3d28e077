"""The command line: tributary, one module per command."""

import typer

from tributary.cli.benchmark import benchmark_app
from tributary.cli.build import build_command
from tributary.cli.check import check_command
from tributary.cli.erase import erase_command
from tributary.cli.fit_ihc import fit_ihc_command
from tributary.cli.ihc_api import ihc_api_command
from tributary.cli.report import report_command
from tributary.cli.runs import runs_command
from tributary.cli.simulate import simulate_command
from tributary.cli.timings import timings_command

app = typer.Typer(
    help="What each marketing channel really earned.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("simulate")(simulate_command)
app.command("build")(build_command)
app.command("report")(report_command)
app.command("check")(check_command)
app.command("runs")(runs_command)
app.command("erase")(erase_command)
app.command("timings")(timings_command)
app.command("fit-ihc")(fit_ihc_command)
app.command("ihc-api")(ihc_api_command)
app.add_typer(benchmark_app, name="benchmark")


def main() -> None:
    """Run the command line."""
    app()
