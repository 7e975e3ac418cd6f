-- begin: of the dispatchers that see an order that takes its time, one carries it out; it says so again meanwhile.
-- KEYS  chore
-- ARGV  who, for how long (ms)
-- reply begun, or busy: another one has begun
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 'begun' end
local longer = redis.call('PTTL', KEYS[1]) > tonumber(ARGV[2]) -- Redis' clock stepped back since
if redis.call('GET', KEYS[1]) ~= ARGV[1] and not longer then return 'busy' end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 'begun'
