-- grain: one row per source and appointment. Of several rows with one id the one loaded last is
-- kept.
{{ usable_rows('appointments', [
    'source', 'appointment_id', 'customer_id', 'booked_at', 'attended_at', 'status'
]) }}
