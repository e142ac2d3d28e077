-- What holds of the tables of models/intermediate/channels: docs/decisions/0017.

{{ checks_of({
    'int_channels': [
        {'primary_key': {'columns': ['channel']}},
        {'holds': {'expression': 'channel_group is not null and is_paid is not null'}},
    ],
    'int_traffic_channels': [
        {'primary_key': {'columns': ['source', 'traffic']}},
    ],
}) }}
