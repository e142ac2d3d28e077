"""Phone numbers in one spelling and by keyed hash."""

from typing import Any

from tributary.contacts import hash_contacts, parse_phones
from tributary.hash_key import hash_key
from tributary.relations import as_arrow


def model(dbt: Any, session: Any) -> Any:
    """One row per phone number as written; see tributary.contacts."""
    values = as_arrow(dbt.ref("int_phone_values"))
    region = dbt.config.meta_get("default_phone_region")
    numbers = parse_phones(values["contact_value"].combine_chunks(), region)
    hashes = hash_contacts(numbers["e164"].combine_chunks(), hash_key())
    return numbers.append_column("phone_hash", hashes)
