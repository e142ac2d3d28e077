-- grain: one row per file that checked sessions are of: it may be gone since they were. They carry
-- file_key in place of its name, which would be the same text in row after row.
{{ config(materialized='view') }}

with files as (

    {{ names_of_session_files() }}

),

final as (

    select
        source,
        {{ row_key('source', 'loaded_from') }} as file_key,
        loaded_from
    from files

)

select * from final
