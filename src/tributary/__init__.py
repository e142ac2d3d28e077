"""Attribution algorithms of the Tributary warehouse.

Pure functions over NumPy arrays and Arrow tables of aggregates. Nothing here knows dbt or a
database; the warehouse's Python models and the command line call these functions.
"""
