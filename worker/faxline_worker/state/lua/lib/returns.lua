-- A job goes back to the queue: at once, after a wait, or as a new try.

-- A job that waits again may expire again. While it was in doubt it could not.
local function may_expire(id, job)
  if job.expires_at then redis.call('ZADD', keys.expiring, job.expires_at, id) end
end

-- Back to its place without spending an attempt; or only after `wait` (ms), so that others go first. `more`: fields and
-- values.
local function put_back(options, id, job, token, wait, more)
  redis.call('HSET', keys.job .. id, 'state', 'queued', 'attempt', job.attempt - 1, 'tries', job.tries - 1,
    'updated_at', int(now), 'settled', token, unpack(more or {}))
  if wait then redis.call('ZADD', keys.delayed, int(now + wait), id) else enter_ready(id, job) end
  may_expire(id, job)
  job.state = 'queued'
  leave_line(options, id, job)
  if wait then ring_by_alarm(now + wait) else ring_for_room() end
end

-- The answer says nothing about the fax, or its meaning is unknown. The job keeps its place and its attempts, and is tried
-- again after a wait that grows with the time since the first such answer, so that others show whether it is about this
-- fax.
local function put_off(options, id, job, said, token, wait, most, more)
  local since = tonumber(more.refused_at or job.refused_at) or steady
  local fields = { 'refused_at', int(since) }
  for name, value in pairs(with(said, { refusals = more.refusals })) do
    table.insert(fields, name)
    table.insert(fields, value)
  end
  put_back(options, id, job, token, math.min(most, math.max(wait or 0, steady - since)), fields)
end

-- To its place again, now or after `wait` ms; this spends an attempt.
local function retry(account, options, id, job, said, wait, more)
  local changes = with(said, more)
  changes.state = 'queued'
  transition(options.cap, id, job, 'fax.retrying', changes,
    with(said, { retry_at = now + wait, stage = 'submission' }))
  may_expire(id, job)
  leave_line(options, id, job)
  if wait > 0 then
    redis.call('ZADD', keys.delayed, int(now + wait), id)
    ring_by(account, now + wait)
  else
    enter_ready(id, job)
    ring_for_room()
  end
end
