-- Every attribution model that the seed lists is computed.
-- depends_on: {{ ref('position_shares') }}
select attribution_model
from {{ ref('attribution_models') }}
where (attribution_model in ({{ quoted_list(attribution_models()) }})) is not true
