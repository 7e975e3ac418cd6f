-- survey: everything of an account that is due by now moves on; says which wake-ups to send and when to look again.
-- include: clock record limits wakes
-- KEYS  account, ready, delayed, permits, holders, answers, wakes, submitted, in_doubt, expiring, events, status,
--       reconcile wake, job prefix
-- ARGV  JSON options, most items a kind in one go
-- reply JSON {next (ms until the next look), wakes, reconcile, changes = [{job, event, reason, code}]}
local keys = { account = KEYS[1], ready = KEYS[2], delayed = KEYS[3], permits = KEYS[4], holders = KEYS[5],
  answers = KEYS[6], wakes = KEYS[7], submitted = KEYS[8], in_doubt = KEYS[9], expiring = KEYS[10],
  events = KEYS[11], job = KEYS[14] }
local options, most = cjson.decode(ARGV[1]), tonumber(ARGV[2])
local limits, account, changes = limits_of(options), read_account(keys.account), {}

local function due(key) return redis.call('ZRANGEBYSCORE', key, '-inf', int(now), 'LIMIT', 0, most) end
local function move(id, job, name, fields, data)
  transition(keys, options.cap, id, job, name, fields, data)
  table.insert(changes, { job = id, event = name, reason = data.reason, code = data.code })
end
local function put_back(id, job)
  redis.call('HSET', keys.job .. id, 'state', 'queued', 'attempt', job.attempt - 1, 'tries', job.tries - 1,
    'updated_at', int(now))
  redis.call('ZADD', keys.ready, job.place, id)
end
local function doubt(id, job, token)
  move(id, job, 'fax.in_doubt', { state = 'in_doubt', reason = 'worker_lost', doubted = token },
    { reason = 'worker_lost' })
  redis.call('ZADD', keys.in_doubt, int(now + options.doubt), id)
end

for _, id in ipairs(due(keys.delayed)) do -- retries
  redis.call('ZREM', keys.delayed, id)
  local place = redis.call('HMGET', keys.job .. id, 'place', 'state')
  if place[2] == 'queued' then redis.call('ZADD', keys.ready, place[1], id) end
end
for _, token in ipairs(due(keys.permits)) do -- leases that ran out, and requests that can live no longer
  local id = redis.call('HGET', keys.holders, token)
  local job = id and read_record(keys.job .. id)
  redis.call('HDEL', keys.holders, token)
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
    finish(keys, id, 'unconfirmed', options.retention)
  end
end
for _, id in ipairs(due(keys.in_doubt)) do -- the wait is over: the job's policy applies
  local job = read_record(keys.job .. id)
  local policy = job and job.in_doubt ~= '' and job.in_doubt or options.then_
  redis.call('ZREM', keys.in_doubt, id)
  if job and job.state == 'in_doubt' then
    if policy == 'resend' then
      move(id, job, 'fax.retrying', { state = 'queued', reason = 'in_doubt' }, { reason = 'in_doubt', retry_at = now })
      redis.call('ZADD', keys.ready, job.place, id)
    elseif policy == 'fail' then
      move(id, job, 'fax.failed', { state = 'failed', reason = 'in_doubt' }, { reason = 'in_doubt' })
      finish(keys, id, 'failed', options.retention)
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
    finish(keys, id, 'failed', options.retention)
  elseif job and job.state == 'submitting' then
    redis.call('ZADD', keys.expiring, int(now + 1000), id) -- it may come back to its place
  end
  if not job or job.state ~= 'submitting' then redis.call('ZREM', keys.expiring, id) end
end

redis.call('ZREMRANGEBYSCORE', keys.wakes, '-inf', int(now))
local free, _, wait = room(keys, account, limits)
local wakes = grant_wakes(keys, free, 1000, options.wake_lease)
local reconcile = redis.call('XLEN', KEYS[12]) > 0
  and redis.call('SET', KEYS[13], '1', 'NX', 'PX', options.wake_lease) and true or false

local soonest = now + options.sweep
local function consider(at) if at < soonest then soonest = at end end
for _, key in ipairs({ keys.delayed, keys.permits, keys.submitted, keys.in_doubt, keys.expiring, keys.wakes }) do
  local head = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  if head[2] and head[2] ~= 'inf' then consider(tonumber(head[2])) end
end
if free <= 0 and wait >= 0 and redis.call('ZCARD', keys.ready) > 0 then consider(now + math.ceil(wait / 1000)) end
if redis.call('PTTL', KEYS[13]) > 0 then consider(now + options.wake_lease) end
redis.call('HSET', keys.account, 'alarm', int(soonest))
return cjson.encode({ next = math.max(1, soonest - now), wakes = #wakes > 0 and wakes or nil, reconcile = reconcile,
  changes = #changes > 0 and changes or nil })
