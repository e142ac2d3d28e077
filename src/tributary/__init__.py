"""Attribution algorithms of the Tributary warehouse, its simulator and its command line.

The algorithms (`markov`, `raking`, `shapley`, `ihc`, `survival`, `hazard`, `log_hazard`,
`calibration`, `data_driven`) and `simulation` are pure functions over NumPy arrays and Arrow tables
of aggregates: they know neither dbt nor a database, and the warehouse's Python models call them.
`publishing`, `runs` and `build_lock` make what readers see of a build. `report`, `ihc_tables` and
`ihc_ledger` read the warehouse, `ihc_service` speaks with the external
service, `benchmarks` measures, and `cli` is the command line. `duckdb_functions` alone is for dbt:
it gives its DuckDB what SQL cannot do.
"""
