-- claim: whether receipts wait, and whether the caller is the one to send a `reconcile` message for them.
-- include: clock
-- KEYS  status, unmatched, reconcile wake
-- ARGV  lease (ms) of the message
-- reply none (nothing waits), claimed (send it), or waits (one is on its way)
local due = redis.call('XLEN', KEYS[1]) > 0 or redis.call('ZCOUNT', KEYS[2], '-inf', int(now)) > 0
if not due then return 'none' end
return redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[1]) and 'claimed' or 'waits'
