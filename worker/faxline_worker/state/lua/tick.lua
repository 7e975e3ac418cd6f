-- tick: every process counts up once a second or so; a count below one that it saw tells that the state went back.
-- ARGV  none
-- reply the count
return redis.call('HINCRBY', keys.account_state, 'ticks', 1)
