-- settle: the answer of one call moves the job on and gives the permit back. `released`: not a byte was sent.
-- include: clock record limits wakes account receipts
-- KEYS  account, ready, delayed, permits, holders, answers, wakes, submitted, in_doubt, expiring, events,
--       doorbell, job prefix, jobId prefix
-- ARGV  permit token, job id, JSON answer {decision, job_id, code, reason, message, retry, gate (ms), jitter,
--       silent}, JSON options
-- reply JSON {result = settled | repeated | stale | duplicate | resolved, state, wakes, receipt}
local keys = { account = KEYS[1], ready = KEYS[2], delayed = KEYS[3], permits = KEYS[4], holders = KEYS[5],
  answers = KEYS[6], wakes = KEYS[7], submitted = KEYS[8], in_doubt = KEYS[9], expiring = KEYS[10],
  events = KEYS[11], doorbell = KEYS[12], job = KEYS[13], job_ids = KEYS[14] }
local token, id = ARGV[1], ARGV[2]
local answer, options = cjson.decode(ARGV[3]), cjson.decode(ARGV[4])
local job = read_record(keys.job .. id)
local account = read_account(keys.account)
local limits = limits_of(options, account)
local result, applied = 'settled', nil
local held = job and redis.call('HDEL', keys.holders, token) == 1

local function said(fields)
  fields.code, fields.reason, fields.message = answer.code, answer.reason, answer.message
  return fields
end

local function accept()
  local early = redis.call('SET', keys.job_ids .. answer.job_id, id, 'PX', options.retention + options.deadline, 'GET')
  transition(keys, options.cap, id, job, 'fax.submitted', { state = 'submitted', job_id = answer.job_id,
    submitted_at = int(now), code = '', reason = '', message = '', tries = 0, settled = token }, {})
  redis.call('ZADD', keys.submitted, int(now + options.deadline), id)
  if job.expires_at then redis.call('ZREM', keys.expiring, id) end
  ring_by(keys, account, now + options.deadline)
  if is_receipt(early) then
    applied = cjson.decode(early)
    applied.result = apply_receipt(keys, options, id, job, applied)
  end
end

local function fail()
  transition(keys, options.cap, id, job, 'fax.failed', said({ state = 'failed', settled = token }),
    said({ stage = 'submission' }))
  finish(keys, id, job, options.retention)
end

local function put_back() -- to its place, no attempt spent
  redis.call('HSET', keys.job .. id, 'state', 'queued', 'attempt', job.attempt - 1, 'tries', job.tries - 1,
    'updated_at', int(now), 'settled', token)
  redis.call('ZADD', keys.ready, job.place, id)
  job.state = 'queued'
  ring(keys)
end

local by_decision = {
  accepted = accept,
  refuse = fail,
  released = put_back,
  defer = function()
    put_back()
    close_gate(keys, account, options, tonumber(job.admitted_at), answer.gate, answer.jitter or 1)
  end,
  pause = function()
    put_back()
    pause(keys, account, options, answer.reason)
  end,
  retry = function()
    if job.tries >= options.tries then return fail() end
    transition(keys, options.cap, id, job, 'fax.retrying', said({ state = 'queued', settled = token }),
      said({ retry_at = now + answer.retry }))
    redis.call('ZADD', keys.delayed, int(now + answer.retry), id)
    ring_by(keys, account, now + answer.retry)
  end,
  in_doubt = function()
    transition(keys, options.cap, id, job, 'fax.in_doubt', said({ state = 'in_doubt', doubted = token, settled = token }),
      said({}))
    redis.call('ZADD', keys.in_doubt, int(now + options.doubt), id)
    ring_by(keys, account, now + options.doubt)
  end,
}

if held then
  if job.marked ~= '1' or answer.decision == 'released' then
    redis.call('ZREM', keys.permits, token) -- not a byte was sent
    if answer.silent then learn(keys, account, options, answer, tonumber(job.admitted_at)) end
  else
    learn(keys, account, options, answer, tonumber(job.admitted_at))
    if answer.decision == 'in_doubt' then
      redis.call('ZADD', keys.permits, int(now + options.linger), token) -- held while the request could live
      ring_by(keys, account, now + options.linger)
    else
      answered(keys, account, limits, token)
    end
  end
  by_decision[answer.decision]()
elseif not job or job.settled == token then
  result = job and 'repeated' or 'stale'
elseif job.state == 'in_doubt' and answer.decision ~= 'in_doubt' and job.doubted == token then
  redis.call('ZREM', keys.in_doubt, id) -- a late answer settles the doubt
  by_decision[answer.decision]()
  result = 'resolved'
elseif answer.decision ~= 'accepted' or job.job_id == answer.job_id then
  result = 'stale'
else
  redis.call('SET', keys.job_ids .. answer.job_id, id, 'PX', options.retention + options.deadline)
  redis.call('HSET', keys.job .. id, 'settled', token)
  emit(keys.events, options.cap, 'fax.duplicate', id, to_json({ state = job.state, attempt = job.attempt },
    answer.job_id, job.metadata ~= '' and job.metadata or nil))
  result = 'duplicate'
end

local wakes = {}
if account.waits == '1' then -- the next job waits for an answer, and this was one
  local r, ready, out = room(keys, account, limits_of(options, account)), unwoken(keys)
  local moments = {}
  for i = 1, math.min(r.free - out, ready, 10) do moments[i] = now_us end
  wakes = grant_wakes(keys, moments, options.wake_lease)
  if ready <= #wakes then await_answer(keys, account, '') elseif r.by_answer == false then ring(keys) end
end
return cjson.encode({ result = result, state = job and job.state, wakes = #wakes > 0 and wakes or nil,
  receipt = applied, submitted_at = job and tonumber(job.submitted_at) })
