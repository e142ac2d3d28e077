-- grain: one row: the names of all channels in the order of their keys, as a list.
{{ config(materialized='view') }}

with channels as (

    select * from {{ ref('int_channels') }}

),

final as (

    select {{ ordered_list('channel', 'channel_key') }} as channel_names
    from channels

)

select * from final
