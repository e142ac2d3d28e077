"""Attribution algorithms of the Tributary warehouse, its simulator and its command line.

`markov`, `shapley` and `simulation` are pure functions over NumPy arrays and Arrow tables of
aggregates: they know neither dbt nor a database, and the warehouse's Python models call them.
`report` reads the warehouse's marts, and `cli` is the command line.
"""
