-- reopen: all that was lost is in order, so the account goes on; one that an operator had paused stays paused.
-- include: clock bell limits wakes closing account
-- KEYS  account, lost, doorbell
-- ARGV  none
-- reply opened, paused (an operator had), left (something is lost still) or idle (the state has not gone back)
local keys = { account = KEYS[1], doorbell = KEYS[3] }
local account = read_account(keys.account)
if account.paused ~= ROLLED_BACK then return 'idle' end
if redis.call('HLEN', KEYS[2]) > 0 then return 'left' end
account.paused = redis.call('HGET', keys.account, 'paused_before') or ''
account.probe_at = now_us
save(keys, account, 'paused', 'probe_at')
redis.call('HDEL', keys.account, 'paused_before', 'lost_from', 'lost_until', 'lost_unknown', 'lost_more')
ring(keys)
return account.paused == '' and 'opened' or 'paused'
