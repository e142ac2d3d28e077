"""Attribution algorithms of the Tributary warehouse, its simulator and its command line.

Algorithms are pure functions over NumPy arrays and Arrow tables of aggregates, which know neither
dbt nor a database; the warehouse's Python models call them: attribution (`markov`, `shapley`,
`hazard` and its `hazard_tables`, `log_hazard`, `calibration`, `survival`, `data_driven`, `ihc`,
`raking`, with `gram` and `threads`), persons (`contacts`, `identity`, `record_linkage`,
`suppression`), `checks`, and the simulators (`simulation`, `customer_records`, `market_files`).

What reads or writes a warehouse: `publishing`, `runs`, `build_lock`, `erasure`, `snapshots`,
`report` (`report_picture` draws it), `ihc_tables`, `ihc_ledger`; `ihc_service` speaks with the
external service, `benchmarks` measures, `cli` is the command line.

What knows dbt: `relations` and `hash_key` serve its Python models, `duckdb_functions` its SQL, and
`timings`, as `runs`, reads its account of a run.
"""
