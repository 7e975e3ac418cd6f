-- The doorbell: tells the dispatchers to look at the account again, now. `ring` is about the timers and all that follows,
-- `ring_for_room` about who may go next, and costs them one `plan_wakeups`. They read every entry, or a hundred of them.
local function ring(what) redis.call('XADD', keys.doorbell, 'MAXLEN', '~', 100, '*', 'for', what or 'all') end
local function ring_for_room() ring('room') end

-- Tells the dispatchers of a timer that is due (ms) before they would look.
local function ring_by_alarm(at)
  local alarm = tonumber(redis.call('HGET', keys.account_state, 'alarm'))
  if not alarm or at < alarm then ring() end
end

-- The same, for a script that may have read the alarm with the account. account: {} where it read nothing of it.
local function ring_by(account, at)
  account.alarm = account.alarm or tonumber(redis.call('HGET', keys.account_state, 'alarm')) or 0
  if account.alarm == 0 or at < account.alarm then ring() end
end
