-- The doorbell: tells the dispatchers to look at the account again, now. A script that names no key for it has the
-- prefix of the records, which ends in `job:` and stands beside it. `ring` is about the timers and all that follows,
-- `ring_for_room` about who may go next, and costs them one `plan_wakeups`. They read every entry, or RINGS of them.
local RINGS = 100
local function ring(keys, what)
  redis.call('XADD', keys.doorbell or string.sub(keys.job, 1, -5) .. 'doorbell', 'MAXLEN', '~', RINGS, '*', 'for',
    what or 'all')
end
local function ring_for_room(keys) ring(keys, 'room') end
