-- What the timers of a run share: run = {options, account, limits, most (items of a kind), old (the state may be older than
-- what was done, so no job ends and none in doubt is sent again; leases run out all the same), changes, failures, look (a
-- job or a permit came back), put_off (something that is due waits)}. Dates are due by `now`; leases, waits and deadlines by
-- `steady`.
local function due(run, key, clock) return redis.call('ZRANGEBYSCORE', key, '-inf', int(clock), 'LIMIT', 0, run.most) end
local function note_change(run, id, event, reason) table.insert(run.changes, { job = id, event = event, reason = reason }) end

-- Retries, and faxes that wait here for a date, enter the ready set.
local function run_delayed(run)
  for _, id in ipairs(due(run, keys.delayed, now)) do
    local job = not parse_control_call(id) and read_record(keys.job .. id) -- first, because it may refuse
    redis.call('ZREM', keys.delayed, id)
    if parse_control_call(id) then
      send_control_call(id)
    elseif job and job.state == 'queued' then
      enter_ready(id, job)
      run.look = true
    end
  end
end

-- The date of a fax that waits to be scheduled at iFax has come, so it takes its place.
local function run_scheduled(run)
  for _, id in ipairs(due(run, keys.scheduled, now)) do
    redis.call('ZREM', keys.scheduled, id)
    local place = redis.call('HGET', keys.job .. id, 'place')
    if place then redis.call('ZADD', keys.ready, 'XX', place, id) end
  end
end

-- The lease of a line ran out, and jobs wait for the line.
local function run_lines(run)
  local options = run.options
  for _, number in ipairs(due(run, keys.lines_until, now)) do
    redis.call('ZREM', keys.lines_until, number)
    local line = read_line(number)
    follow(options, number, line)
    run.look = true
  end
end

-- Jobs that were not submitted by their expires_at fail. One that was left out of the queue by a clock that stepped back since
-- returns to its place.
local function run_expiring(run)
  local options = run.options
  for _, id in ipairs(run.old and {} or due(run, keys.expiring, now)) do
    local job = read_record(keys.job .. id)
    if job and job.state == 'queued' and job.expires_at and not is_over(job) then
      enter_ready(id, job)
      may_expire(id, job)
      run.look = true
    elseif job and job.state == 'queued' then
      leave_queue(options, id, job)
      fail(options, id, job, { reason = 'expired' }, {})
      note_change(run, id, 'fax.failed', 'expired')
    elseif job and job.state == 'submitting' then
      redis.call('ZADD', keys.expiring, int(now + 1000), id) -- it may come back to its place
    end
    if not job or job.state ~= 'submitting' and job.state ~= 'queued' then redis.call('ZREM', keys.expiring, id) end
  end
end
