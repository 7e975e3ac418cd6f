-- tick: every process counts up about once a second. A count lower than one already seen shows that the state
-- went back.
-- ARGV  none
-- reply the count
return redis.call('HINCRBY', keys.account_state, 'ticks', 1)
