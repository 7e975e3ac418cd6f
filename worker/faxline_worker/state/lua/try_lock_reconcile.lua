-- try_lock_reconcile: locks reconciling if receipts wait. One `reconcile` of an account runs at a time: its key exists from
-- the lock until the turn releases it.
-- include: clock
-- ARGV  lease (ms) of the message, and of the turn, turn (1: asked at a turn's end, by the one that has the lock), the
--       steady clock as the caller knows it (ms, or empty)
-- reply none (nothing waits), locked (send a message for it), busy (one is under way), or match (at a turn's end: receipts
--       are due to meet the doubts; the lock is kept)
local came = redis.call('XLEN', keys.status) > 0
local first = redis.call('ZRANGE', keys.unmatched, 0, 0, 'WITHSCORES')[2]
if first then read_steady(ARGV[3]) end
local due = first and tonumber(first) <= steady or false
if ARGV[2] == '1' then
  if not came and not due then
    redis.call('DEL', keys.reconcile_wake)
    return 'none'
  end
  redis.call('SET', keys.reconcile_wake, '1', 'PX', ARGV[1])
  return due and 'match' or 'locked'
end
if not came and not due then return 'none' end
if redis.call('SET', keys.reconcile_wake, '1', 'NX', 'PX', ARGV[1]) then return 'locked' end
if redis.call('PTTL', keys.reconcile_wake) <= tonumber(ARGV[1]) then return 'busy' end
-- Redis' clock stepped back, so the key would live longer by the step.
redis.call('SET', keys.reconcile_wake, '1', 'PX', ARGV[1])
return 'locked'
