"""Run dbt many times without reading the project anew each time.

Importing dbt, parsing the project and compiling its macros takes longer than building a few rows.
This process does all of it once and forks for every command, so that each runs in a process of its
own, as from a shell. It takes one request as JSON per line on standard input and answers with the
exit status, or with "not parsed" where a setting that parsing depends on is wrong.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import yaml
from dbt.cli.main import dbtRunner
from dbt_common.clients.jinja import template_cache

# What the Python models import, so that no build has to: these load SciPy and scikit-learn.
import tributary.data_driven
import tributary.hazard_tables
import tributary.raking
import tributary.shapley  # noqa: F401

# What parsing depends on; every other setting is read when a model is compiled.
PARSED_SETTINGS = (
    "sources",
    "markov_order",
    "default_phone_region",
    "email_provider_rules",
    "probabilistic_matching",
    "match_threshold",
)

Request = dict[str, Any]


def parsed(request: Request) -> Any:
    """Parse the project for the settings of a request; None where they are wrong."""
    settings = {
        name: value
        for name, value in (yaml.safe_load(request["variables"]) or {}).items()
        if name in PARSED_SETTINGS
    }
    sources = request["environment"].get("TRIBUTARY_SOURCES", "")
    key = json.dumps([settings, sources])
    if key not in MANIFESTS:
        os.environ["TRIBUTARY_SOURCES"] = sources
        # Relations keep the database's name, which is that of the file: it is always the same one.
        arguments = ["--quiet", "--no-partial-parse", "parse", "--vars", json.dumps(settings)]
        MANIFESTS[key] = dbtRunner().invoke(arguments).result
        for macro in MANIFESTS[key].macros.values() if MANIFESTS[key] else ():
            template_cache.get_node_template(macro)
    return MANIFESTS[key]


MANIFESTS: dict[str, Any] = {}


def run(request: Request, manifest: Any) -> NoReturn:
    """Run a command in this process and end it."""
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.clear()
    os.environ.update(request["environment"])
    arguments = [*request["arguments"], "--vars", request["variables"]]
    result = dbtRunner(manifest=manifest).invoke(arguments)
    sys.stdout.flush()
    os._exit(0 if result.success else 1)


def main() -> None:
    """Serve until standard input ends."""
    os.environ["DBT_VERSION_CHECK"] = "false"
    answers = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    for line in sys.stdin:
        request = json.loads(line)
        Path(request["log"]).parent.mkdir(parents=True, exist_ok=True)
        os.environ["TRIBUTARY_WAREHOUSE"] = request["environment"]["TRIBUTARY_WAREHOUSE"]
        os.environ["DBT_TARGET_PATH"] = request["environment"]["DBT_TARGET_PATH"]
        os.environ["DBT_LOG_PATH"] = request["environment"]["DBT_LOG_PATH"]
        manifest = parsed(request)
        if manifest is None:
            print("not parsed", file=answers, flush=True)
            continue
        child = os.fork()
        if child == 0:
            run(request, manifest)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


if __name__ == "__main__":
    main()
