-- Rows of the seeds channel_rules and referral_sources that cannot be used. They are named by an
-- error when this test is compiled: a count of rows would not help.
{% do check_channel_rules() %}

{{ channel_rule_problems() }}
