-- Every share of rpt_coverage is at least what fail_coverage_below asks of its measure.
{{ coverage_below(fail_coverage_below()) }}
