-- cancel: a queued job ends here and now; any other state refuses, with the reason.
-- include: clock record
-- KEYS  intake, account, ready, delayed, expiring, events, job prefix
-- ARGV  consumer group, cap, intake entry, job id, retention (ms)
-- reply canceled, refused or gone
local keys = { account = KEYS[2], ready = KEYS[3], delayed = KEYS[4], expiring = KEYS[5], events = KEYS[6],
  job = KEYS[7] }
local group, cap, entry, id, retention = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if #redis.call('XRANGE', KEYS[1], entry, entry) == 0 then return 'gone' end
local function leave(result) -- last, for a script that raises is not undone, and the entry must not be lost
  redis.call('XACK', KEYS[1], group, entry)
  redis.call('XDEL', KEYS[1], entry)
  return result
end
local job = read_record(keys.job .. id)
if job and job.state == 'queued' then
  redis.call('ZREM', keys.ready, id)
  redis.call('ZREM', keys.delayed, id)
  transition(keys, cap, id, job, 'fax.canceled', { state = 'canceled', reason = 'canceled_before_sending' },
    { reason = 'canceled_before_sending' })
  finish(keys, id, job, retention)
  return leave('canceled')
end
local reason = not job and 'unknown_job' or FINAL[job.state] and 'final' or job.state
emit(keys.events, cap, 'fax.cancel_refused', id, to_json({ state = job and job.state, reason = reason }, nil,
  job and job.metadata or nil))
return leave('refused')
