-- Every share of rpt_coverage is at least what warn_coverage_below asks of its measure.
{{ config(severity='warn') }}

{{ coverage_below(warn_coverage_below()) }}
