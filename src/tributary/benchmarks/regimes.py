"""Markets to try attribution models on: each is hard in a way of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from tributary.simulation import Bursts, Channel, Funnel, Market


@dataclass(frozen=True)
class Regime:
    """A market and what is hard about it.

    Attributes
    ----------
    title
        What to call it.
    description
        What happens in it, in one sentence.
    market
        The market.
    """

    title: str
    description: str
    market: Market


_DIRECT = Channel("Direct", 0.010, 1.0, 0.0, 1.0, is_behaviour=True)

_CLEAN_CHANNELS = (
    Channel("Paid Search Brand", 0.004, 0.0, 0.0080, 3.0, 0.60, diminishing=0.75),
    Channel("Paid Search Non Brand", 0.006, 0.0, 0.0060, 5.0, 1.10, diminishing=0.75),
    Channel("Paid Social", 0.014, 0.0, 0.0016, 8.0, 0.35, diminishing=0.75),
    Channel("Display Retargeting", 0.012, 0.0, 0.0020, 2.0, 0.12, diminishing=0.75),
    Channel("Newsletter & Email", 0.008, 0.0, 0.0020, 4.0, 0.01, diminishing=0.75),
    Channel("Affiliate & Partnerships", 0.003, 0.0, 0.0170, 2.0, 1.50, diminishing=0.75),
    Channel("YouTube Ads", 0.010, 0.0, 0.0008, 8.0, 0.25, diminishing=0.75),
    Channel("Display", 0.014, 0.0, 0.0, 4.0, 0.10),
)
"""Seven channels whose effects add up, and one without any effect."""


def _finding_intent(*channels: Channel) -> tuple[Channel, ...]:
    """Let search, e-mail and retargeting find people who are interested anyway."""
    bias = {
        "Paid Search Brand": 1.0,
        "Paid Search Non Brand": 0.4,
        "Display Retargeting": 0.8,
        "Newsletter & Email": 0.2,
    }
    return tuple(replace(each, interest_bias=bias.get(each.name, 0.0)) for each in channels)


_CLEAN = Market(
    channels=(*_CLEAN_CHANNELS, _DIRECT),
    people=100_000,
    days=60,
    base_rate=0.0004,
    interest_spread=0.5,
    is_immediate=True,
)
_SEEN_INTENT = replace(
    _CLEAN,
    channels=(*_finding_intent(*_CLEAN_CHANNELS), replace(_DIRECT, touches_per_day=0.030)),
    bursts=Bursts(per_day=0.004, mean_days=7.0, lift=8.0),
    profiles=5,
)
_HIDDEN_INTENT = replace(
    _SEEN_INTENT,
    channels=(*_finding_intent(*_CLEAN_CHANNELS), replace(_DIRECT, interest_bias=0.0)),
    profiles=0,
)
_SYNERGY = replace(
    _CLEAN,
    channels=(
        Channel("Paid Search Brand", 0.003, 0.0, 2.0, 3.0, 0.60, diminishing=0.6, is_prompted=True),
        Channel("Paid Search Non Brand", 0.010, 0.0, 2.1, 5.0, 1.10, diminishing=0.6),
        Channel("Paid Social", 0.020, 0.0, 0.9, 8.0, 0.35, diminishing=0.6, prompts=0.010),
        Channel("Display Retargeting", 0.020, 0.0, 1.1, 2.0, 0.12, diminishing=0.6),
        Channel("Newsletter & Email", 0.012, 0.0, 1.2, 4.0, 0.01, diminishing=0.6),
        Channel("Affiliate & Partnerships", 0.004, 0.0, 2.6, 2.0, 1.50, diminishing=0.6),
        Channel("YouTube Ads", 0.016, 0.0, 0.6, 8.0, 0.25, diminishing=0.6, prompts=0.020),
        Channel("Display", 0.016, 0.0, 0.0, 4.0, 0.10),
        replace(_DIRECT, is_prompted=True),
    ),
    base_rate=0.0004,
    is_multiplicative=True,
    synergies=(
        ("Paid Social", "Paid Search Brand", 1.5),
        ("YouTube Ads", "Paid Search Non Brand", 1.0),
        ("Display Retargeting", "Newsletter & Email", 1.0),
    ),
)
_SPARSE = replace(
    _CLEAN,
    channels=tuple(
        replace(channel, touches_per_day=channel.touches_per_day / 8) for channel in _CLEAN.channels
    ),
    base_rate=0.00004,
)
_FUNNEL = replace(
    _CLEAN,
    channels=(
        Channel("Paid Search Brand", 0.003, 1.0, 0.0, 1.0, 0.60, moves=(0.10, 0.50)),
        Channel("Paid Search Non Brand", 0.005, 0.5, 0.0, 1.0, 1.10, moves=(0.30, 0.35)),
        Channel("Paid Social", 0.012, 0.0, 0.0, 1.0, 0.35, moves=(0.30, 0.05)),
        Channel("Display Retargeting", 0.008, 0.5, 0.0, 1.0, 0.12, True, moves=(0.0, 0.20)),
        Channel("Newsletter & Email", 0.008, 0.0, 0.0, 1.0, 0.01, moves=(0.05, 0.25)),
        Channel("Affiliate & Partnerships", 0.003, 0.5, 0.0, 1.0, 1.50, moves=(0.10, 0.60)),
        Channel("YouTube Ads", 0.012, 0.0, 0.0, 1.0, 0.25, moves=(0.25, 0.0)),
        Channel("Display", 0.012, 0.0, 0.0, 1.0, 0.10),
        _DIRECT,
    ),
    funnel=Funnel(
        rates=(0.0002, 0.0020, 0.0400),
        interest=(1.0, 1.5, 4.0),
        rise_per_day=0.0010,
        fall_per_day=0.08,
    ),
)

REGIMES: Mapping[str, Regime] = MappingProxyType(
    {
        "clean": Regime(
            "Clean",
            "Touches reach everybody alike; their effects add up and fade.",
            _CLEAN,
        ),
        "intent_observed": Regime(
            "Intent observed",
            "Search and retargeting find people who are about to buy; direct visits show who.",
            _SEEN_INTENT,
        ),
        "intent_hidden": Regime(
            "Intent hidden",
            "Search and retargeting find people who are about to buy; nothing shows who.",
            _HIDDEN_INTENT,
        ),
        "synergy": Regime(
            "Synergy",
            "Channels multiply each other's effect; social and video prompt brand search.",
            _SYNERGY,
        ),
        "sparse": Regime(
            "Sparse",
            "As clean, with an eighth of the touches and few conversions.",
            _SPARSE,
        ),
        "funnel": Regime(
            "Funnel",
            "A different family: touches move people between stages instead of adding hazard.",
            _FUNNEL,
        ),
    }
)
