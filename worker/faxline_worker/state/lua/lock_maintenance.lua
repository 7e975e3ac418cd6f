-- lock_maintenance: one dispatcher at a time carries out an account's long-running orders, and renews the lock meanwhile.
-- ARGV  who, for how long (ms)
-- reply locked, or busy: another dispatcher has the lock
if redis.call('SET', keys.maintenance_lock, ARGV[1], 'NX', 'PX', ARGV[2]) then return 'locked' end
local longer = redis.call('PTTL', keys.maintenance_lock) > tonumber(ARGV[2]) -- Redis' clock stepped back since
if redis.call('GET', keys.maintenance_lock) ~= ARGV[1] and not longer then return 'busy' end
redis.call('SET', keys.maintenance_lock, ARGV[1], 'PX', ARGV[2])
return 'locked'
