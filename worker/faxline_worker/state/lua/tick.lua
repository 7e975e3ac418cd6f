-- tick: every process counts up once a second or so; a count below one that it saw tells that the state went back.
-- KEYS  account
-- ARGV  none
-- reply the count
return redis.call('HINCRBY', KEYS[1], 'ticks', 1)
