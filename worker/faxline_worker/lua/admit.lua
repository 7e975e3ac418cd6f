-- admit: takes the best job and a permit in one step, right before the call.
-- include: clock bell record lines limits wakes account errands
-- KEYS  account, ready, permits, holders, answers, wakes, doorbell, job prefix
-- ARGV  permit token (the caller's own: asked again with it, the answer is the same), wake-up token, JSON options,
--       chance (0 to 1, of this permit): below the starvation share, the oldest job is taken if it has starved
-- reply JSON {result = admitted, job, errand (the member of the ready set, where it is one), attempt, kind, request,
--       waited (ms, first attempt, since it was due), due (its date has come), priority, number, born (ms), trace (the
--       producer's traceparent, where traces are on)} or
--       {result = held, limit} or {result = idle}
local keys = { account = KEYS[1], ready = KEYS[2], permits = KEYS[3], holders = KEYS[4], answers = KEYS[5],
  wakes = KEYS[6], doorbell = KEYS[7], job = KEYS[8] }
local TURNED = 100
local token, options, chance = ARGV[1], cjson.decode(ARGV[3]), tonumber(ARGV[4])

local function trace_of(job)
  return options.traces and job.metadata and string.match(job.metadata, '"traceparent":"(%x%x%-%x+%-%x+%-%x%x)"') or nil
end

local function errand(member)
  local kind, id = parse_errand(member)
  local job = id and read_record(keys.job .. id)
  if not job or job.state ~= 'submitted' then return nil end
  return cjson.encode({ result = 'admitted', job = id, attempt = job.attempt, kind = kind, errand = member,
    request = '{"jobId":' .. job.job_id .. '}', priority = job.priority, number = job.number,
    born = tonumber(job.created_at), trace = trace_of(job) })
end

-- A delivery that failed is tried again by a resend of iFax's job, whatever the job's own kind.
local function admission(id, job)
  local kind, request = job.kind, job.request
  if job.resend_of then kind, request = 'resend', '{"jobId":' .. job.resend_of .. '}' end
  local since = math.max(tonumber(job.created_at), tonumber(job.send_at) or 0)
  return cjson.encode({ result = 'admitted', job = id, attempt = job.attempt, kind = kind, request = request,
    waited = job.attempt == 1 and math.max(0, now - since) or nil, priority = job.priority, number = job.number,
    due = job.send_at and not ahead(job) or nil, born = tonumber(job.created_at), trace = trace_of(job) })
end

-- The oldest of the less urgent jobs, if it has waited so long that it starves.
local function starved()
  local oldest, born
  for rank = 2, 3 do
    local head = redis.call('ZRANGEBYSCORE', keys.ready, int(rank * STRIDE), '(' .. int((rank + 1) * STRIDE), 'WITHSCORES',
      'LIMIT', 0, 1)
    local age = head[2] and tonumber(head[2]) - rank * STRIDE
    if age and (not born or age < born) then oldest, born = head[1], age end
  end
  if born and now_us - EPOCH_US - born > options.starve_after * 1000 then return oldest end
end

local function take()
  local id = chance < options.starve_share and starved()
  if id then
    redis.call('ZREM', keys.ready, id)
    return id
  end
  return redis.call('ZPOPMIN', keys.ready)[1]
end

if ARGV[2] ~= '' then redis.call('ZREM', keys.wakes, ARGV[2]) end
local held = redis.call('HGET', keys.holders, token)
if held then
  local reply, job = errand(held), read_record(keys.job .. held, 'request')
  return reply or job and admission(held, job) or cjson.encode({ result = 'idle' }) -- the errand has become needless
end

local account = read_account(keys.account)
if account.newer then return cjson.encode({ result = 'held', limit = 'layout' }) end
local r = room(keys, account, limits_of(options, account))
if r.free == 0 then
  if redis.call('ZCARD', keys.ready) == 0 then return cjson.encode({ result = 'idle' }) end
  if r.by_answer then await_answer(keys, account, '1') elseif r.by_answer == false then ring(keys) end
  return cjson.encode({ result = 'held', limit = r.limit })
end
local function grant(id)
  redis.call('ZADD', keys.permits, int(now + options.lease), token)
  redis.call('HSET', keys.holders, token, id)
  if r.probe then probing(keys, account, options) end
end

local turned = 0
for id in take do
  local reply = errand(id)
  if reply then
    grant(id)
    return reply
  end
  local job = read_record(keys.job .. id, 'request')
  if job and job.state == 'queued' and take_line(keys, options, id, job) then
    job.attempt, job.tries = job.attempt + 1, job.tries + 1
    if job.send_at then redis.call('ZREM', beside(keys, 'scheduled'), id) end
    redis.call('HSET', keys.job .. id, 'state', 'submitting', 'attempt', job.attempt, 'tries', job.tries, 'permit', token,
      'marked', '', 'lease', int(now + options.lease), 'admitted_at', int(now), 'updated_at', int(now), 'line',
      (options.lines > 0 and not ahead(job)) and '1' or '')
    grant(id)
    return admission(id, job)
  end
  turned = turned + 1
  if turned == TURNED then -- so many wait for their lines: the rest is for the next turn
    ring(keys)
    break
  end
end
return cjson.encode({ result = 'idle' })
