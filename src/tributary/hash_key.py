"""The secret under which contacts are hashed."""

import os

DEMO_KEY = "public key of simulated people"
"""For people who do not exist. Where real ones come in, landing asks for a secret."""


def hash_key() -> bytes:
    """Read the key from the environment, so that it is in no argument, file or log."""
    return (os.environ.get("TRIBUTARY_HASH_KEY", "").strip() or DEMO_KEY).encode()
