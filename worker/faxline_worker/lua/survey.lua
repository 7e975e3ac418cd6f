-- survey: everything of an account that is due by now moves on; says when to look again.
-- include: clock record limits
-- KEYS  account, ready, delayed, permits, holders, answers, submitted, in_doubt, expiring, events, job prefix
-- ARGV  JSON options, most items a kind in one go
-- reply JSON {next (ms until the next look), ready (a job or a permit came back: plan), changes = [{job, event, reason,
--       code}]}
local keys = { account = KEYS[1], ready = KEYS[2], delayed = KEYS[3], permits = KEYS[4], holders = KEYS[5],
  answers = KEYS[6], submitted = KEYS[7], in_doubt = KEYS[8], expiring = KEYS[9], events = KEYS[10], job = KEYS[11] }
local options, most = cjson.decode(ARGV[1]), tonumber(ARGV[2])
local account, changes, look = read_account(keys.account), {}, false
local limits = limits_of(options, account)

local function due(key) return redis.call('ZRANGEBYSCORE', key, '-inf', int(now), 'LIMIT', 0, most) end
local function move(id, job, name, fields, data)
  transition(keys, options.cap, id, job, name, fields, data)
  table.insert(changes, { job = id, event = name, reason = data.reason, code = data.code })
end
local function make_ready(id, place)
  redis.call('ZADD', keys.ready, place, id)
  look = true
end
local function put_back(id, job)
  redis.call('HSET', keys.job .. id, 'state', 'queued', 'attempt', job.attempt - 1, 'tries', job.tries - 1,
    'updated_at', int(now))
  make_ready(id, job.place)
end
local function doubt(id, job, token)
  move(id, job, 'fax.in_doubt', { state = 'in_doubt', reason = 'worker_lost', doubted = token },
    { reason = 'worker_lost' })
  redis.call('ZADD', keys.in_doubt, int(now + options.doubt), id)
end

for _, id in ipairs(due(keys.delayed)) do -- retries
  redis.call('ZREM', keys.delayed, id)
  local place = redis.call('HMGET', keys.job .. id, 'place', 'state')
  if place[2] == 'queued' then make_ready(id, place[1]) end
end
for _, token in ipairs(due(keys.permits)) do -- leases that ran out, and requests that can live no longer
  local id = redis.call('HGET', keys.holders, token)
  local job = id and read_record(keys.job .. id)
  redis.call('HDEL', keys.holders, token)
  look = true
  if job and job.marked ~= '1' and job.state == 'submitting' and job.permit == token then
    redis.call('ZREM', keys.permits, token)
    put_back(id, job)
  else
    answered(keys, account, limits, token)
    if job and job.state == 'submitting' and job.permit == token then doubt(id, job, token) end
  end
end
for _, id in ipairs(due(keys.submitted)) do -- no receipt in time
  redis.call('ZREM', keys.submitted, id)
  local job = read_record(keys.job .. id)
  if job and job.state == 'submitted' then
    move(id, job, 'fax.unconfirmed', { state = 'unconfirmed', reason = 'no_receipt' }, { reason = 'no_receipt' })
    finish(keys, id, job, options.retention)
  end
end
for _, id in ipairs(due(keys.in_doubt)) do -- the wait is over: the job's policy applies
  local job = read_record(keys.job .. id)
  local policy = job and job.in_doubt ~= '' and job.in_doubt or options.then_
  redis.call('ZREM', keys.in_doubt, id)
  if job and job.state == 'in_doubt' then
    if policy == 'resend' then
      move(id, job, 'fax.retrying', { state = 'queued', reason = 'in_doubt' }, { reason = 'in_doubt', retry_at = now })
      make_ready(id, job.place)
    elseif policy == 'fail' then
      move(id, job, 'fax.failed', { state = 'failed', reason = 'in_doubt' }, { reason = 'in_doubt' })
      finish(keys, id, job, options.retention)
    else
      redis.call('ZADD', keys.in_doubt, '+inf', id) -- held for an operator
    end
  end
end
for _, id in ipairs(due(keys.expiring)) do -- not submitted by expires_at
  local job = read_record(keys.job .. id)
  if job and job.state == 'queued' then
    redis.call('ZREM', keys.ready, id)
    redis.call('ZREM', keys.delayed, id)
    move(id, job, 'fax.failed', { state = 'failed', reason = 'expired' }, { reason = 'expired' })
    finish(keys, id, job, options.retention)
  elseif job and job.state == 'submitting' then
    redis.call('ZADD', keys.expiring, int(now + 1000), id) -- it may come back to its place
  end
  if not job or job.state ~= 'submitting' then redis.call('ZREM', keys.expiring, id) end
end

if limits.requests > 0 then
  redis.call('ZREMRANGEBYSCORE', keys.answers, '-inf', '(' .. int(now_us - limits.window))
end
local soonest = now + options.sweep
for _, key in ipairs({ keys.delayed, keys.permits, keys.submitted, keys.in_doubt, keys.expiring }) do
  local head = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  if head[2] and head[2] ~= 'inf' then soonest = math.min(soonest, tonumber(head[2])) end
end
redis.call('HSET', keys.account, 'alarm', int(soonest), 'requests', options.requests, 'window', options.window,
  'concurrency', options.concurrency, 'burst', options.burst)
return cjson.encode({ next = math.max(1, soonest - now), ready = look, changes = #changes > 0 and changes or nil })
