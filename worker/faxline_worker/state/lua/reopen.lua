-- reopen: everything that was lost is in order, so the account goes on. If an operator had paused it, it stays paused.
-- include: clock bell offers account_hash
-- ARGV  none
-- reply opened, paused (an operator had), left (something in `lost` is not in order yet) or idle (the state has not gone back)
local account = read_account()
if account.paused ~= ROLLED_BACK then return 'idle' end
for _, text in ipairs(redis.call('HVALS', keys.lost)) do
  if not cjson.decode(text).became then return 'left' end
end
account.paused = redis.call('HGET', keys.account_state, 'paused_before') or ''
account.probe_at = now_us
save(account, 'paused', 'probe_at')
redis.call('HDEL', keys.account_state, 'paused_before', 'lost_from', 'lost_until', 'lost_unknown', 'lost_more')
ring()
return account.paused == '' and 'opened' or 'paused'
