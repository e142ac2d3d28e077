"""E-mail addresses in one spelling and by keyed hash."""

from typing import Any

import pyarrow.compute as pc

from tributary.contacts import hash_contacts, parse_emails
from tributary.hash_key import hash_key
from tributary.relations import as_arrow


def model(dbt: Any, session: Any) -> Any:
    """One row per e-mail address as written; see tributary.contacts."""
    values = as_arrow(dbt.ref("int_email_values"))
    rules = as_arrow(dbt.ref("email_rules"))
    use_provider_rules = dbt.config.meta_get("email_provider_rules")
    if use_provider_rules != "true":
        rules = rules.filter(pc.field("rule").isin(["disposable", "placeholder"]))
    addresses = parse_emails(values["contact_value"].combine_chunks(), rules)
    hashes = hash_contacts(addresses["email"].combine_chunks(), hash_key())
    return addresses.append_column("email_hash", hashes)
