-- The doorbell: tells the dispatchers to look at the account again, now. `ring` is about the timers and all that follows,
-- `ring_for_room` about who may go next, and costs them one `plan_wakeups`. They read every entry, or RINGS of them.
local RINGS = 100
local function ring(what) redis.call('XADD', keys.doorbell, 'MAXLEN', '~', RINGS, '*', 'for', what or 'all') end
local function ring_for_room() ring('room') end

-- Tells the dispatchers of a timer that is due (ms) before they would look.
local function ring_by_alarm(at)
  local alarm = tonumber(redis.call('HGET', keys.account_state, 'alarm'))
  if not alarm or at < alarm then ring() end
end
