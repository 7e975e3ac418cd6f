-- The doorbell: tells the dispatchers to look at the account again, now. A script that names no key for it has the
-- prefix of the records, which ends in `job:` and stands beside it.
local function ring(keys)
  redis.call('XADD', keys.doorbell or string.sub(keys.job, 1, -5) .. 'doorbell', 'MAXLEN', 1, '*', 'at', int(now))
end
