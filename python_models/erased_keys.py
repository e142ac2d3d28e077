"""Ids and contacts of erased persons among those delivered."""

from typing import Any

import pyarrow.compute as pc

from tributary.hash_key import hash_key
from tributary.relations import as_arrow
from tributary.suppression import ERASED_KEYS, find_erased_keys


def model(dbt: Any, session: Any) -> Any:
    """One row per id or contact of an erased person; see tributary.suppression."""
    hashes = as_arrow(dbt.ref("int_erased_hashes"))
    region = dbt.config.meta_get("default_phone_region")
    use_provider_rules = dbt.config.meta_get("email_provider_rules")
    if not len(hashes):
        return ERASED_KEYS.empty_table()
    rules = as_arrow(dbt.ref("email_rules"))
    if use_provider_rules != "true":
        rules = rules.filter(pc.field("rule").isin(["disposable", "placeholder"]))
    delivered = as_arrow(dbt.ref("int_delivered_keys"))
    return find_erased_keys(hashes, delivered, hash_key(), region, rules)
