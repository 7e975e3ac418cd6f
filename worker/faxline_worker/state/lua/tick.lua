-- tick: every process counts up about once a second. A count below one that a process saw shows that the state went back.
-- ARGV  none
-- reply the count
return redis.call('HINCRBY', keys.account_state, 'ticks', 1)
