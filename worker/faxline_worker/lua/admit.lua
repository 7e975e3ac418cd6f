-- admit: takes the best job and a permit in one step, right before the call.
-- include: clock record limits wakes
-- KEYS  account, ready, permits, holders, answers, wakes, job prefix
-- ARGV  permit token (the caller's own: asked again with it, the answer is the same), wake-up token,
--       lease (ms), wake-up lease (ms), requests, window (us), concurrency, burst
-- reply JSON {result = admitted, job, attempt, kind, request, waited (ms, first attempt), priority, wakes}
--       or {result = held, limit} or {result = idle}
local keys = { account = KEYS[1], ready = KEYS[2], permits = KEYS[3], holders = KEYS[4], answers = KEYS[5],
  wakes = KEYS[6], job = KEYS[7] }
local token, lease, wake_lease = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local limits = { requests = tonumber(ARGV[5]), window = tonumber(ARGV[6]), concurrency = tonumber(ARGV[7]),
  burst = tonumber(ARGV[8]) }

local function admission(id, job, wakes)
  local request = redis.call('HGET', keys.job .. id, 'request')
  return cjson.encode({ result = 'admitted', job = id, attempt = job.attempt, kind = job.kind, request = request,
    waited = job.tries == 1 and now - tonumber(job.created_at) or nil, priority = job.priority,
    number = job.number, wakes = #wakes > 0 and wakes or nil })
end

redis.call('ZREM', keys.wakes, ARGV[2])
local held = redis.call('HGET', keys.holders, token)
if held then return admission(held, read_record(keys.job .. held), {}) end

local account = read_account(keys.account)
local free, limit = room(keys, account, limits)
if free <= 0 then
  if redis.call('ZCARD', keys.ready) == 0 then return cjson.encode({ result = 'idle' }) end
  return cjson.encode({ result = 'held', limit = limit })
end
local best = redis.call('ZPOPMIN', keys.ready)
while best[1] do
  local id = best[1]
  local job = read_record(keys.job .. id)
  if job and job.state == 'queued' then
    job.attempt, job.tries = job.attempt + 1, job.tries + 1
    redis.call('HSET', keys.job .. id, 'state', 'submitting', 'attempt', job.attempt, 'tries', job.tries,
      'permit', token, 'marked', '', 'updated_at', int(now))
    redis.call('ZADD', keys.permits, int(now + lease), token)
    redis.call('HSET', keys.holders, token, id)
    return admission(id, job, grant_wakes(keys, free - 1, 1, wake_lease))
  end
  best = redis.call('ZPOPMIN', keys.ready)
end
return cjson.encode({ result = 'idle' })
