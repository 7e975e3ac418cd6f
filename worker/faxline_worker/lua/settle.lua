-- settle: the answer of one call moves the job on and gives the permit back. `released`: not a byte was sent.
-- include: clock record limits wakes receipts
-- KEYS  account, ready, delayed, permits, holders, answers, wakes, submitted, in_doubt, expiring, events,
--       doorbell, job prefix, jobId prefix, receipt prefix
-- ARGV  permit token, job id, JSON answer {decision, job_id, code, reason, message, retry, gate} (ms), JSON options
-- reply JSON {result = settled | repeated | stale | duplicate | resolved, state, wakes, receipt}
local keys = { account = KEYS[1], ready = KEYS[2], delayed = KEYS[3], permits = KEYS[4], holders = KEYS[5],
  answers = KEYS[6], wakes = KEYS[7], submitted = KEYS[8], in_doubt = KEYS[9], expiring = KEYS[10],
  events = KEYS[11], doorbell = KEYS[12], job = KEYS[13], job_ids = KEYS[14], receipts = KEYS[15] }
local token, id = ARGV[1], ARGV[2]
local answer, options = cjson.decode(ARGV[3]), cjson.decode(ARGV[4])
local job = read_record(keys.job .. id)
local account = read_account(keys.account)
local result, applied = 'settled', nil
local held = redis.call('HGET', keys.holders, token) == id

local function accept()
  local changes = { state = 'submitted', job_id = answer.job_id, submitted_at = int(now), code = '', reason = '',
    message = '', tries = 0 }
  redis.call('SET', keys.job_ids .. answer.job_id, id, 'PX', options.retention + options.deadline)
  transition(keys, options.cap, id, job, 'fax.submitted', changes, {})
  redis.call('ZADD', keys.submitted, int(now + options.deadline), id)
  redis.call('ZREM', keys.expiring, id)
  ring(keys, account, now + options.deadline)
  local early = redis.call('GETDEL', keys.receipts .. answer.job_id)
  if early then applied = cjson.decode(early) applied.result = apply_receipt(keys, options, id, job, applied) end
end

local function fail()
  transition(keys, options.cap, id, job, 'fax.failed', { state = 'failed', code = answer.code,
    reason = answer.reason, message = answer.message }, { code = answer.code, reason = answer.reason,
    message = answer.message, stage = 'submission' })
  finish(keys, id, 'failed', options.retention)
end

local function put_back() -- to its place, no attempt spent
  redis.call('HSET', keys.job .. id, 'state', 'queued', 'attempt', job.attempt - 1, 'tries', job.tries - 1,
    'updated_at', int(now))
  redis.call('ZADD', keys.ready, job.place, id)
  job.state = 'queued'
end

local by_decision = {
  accepted = accept,
  refuse = fail,
  released = put_back,
  defer = function()
    account.gate = math.max(account.gate, now_us + answer.gate * 1000)
    redis.call('HSET', keys.account, 'gate', int(account.gate))
    put_back()
  end,
  pause = function()
    account.paused = answer.reason
    redis.call('HSET', keys.account, 'paused', answer.reason, 'paused_at', int(now))
    put_back()
  end,
  retry = function()
    if job.tries >= options.tries then return fail() end
    transition(keys, options.cap, id, job, 'fax.retrying', { state = 'queued', code = answer.code,
      reason = answer.reason, message = answer.message }, { code = answer.code, reason = answer.reason,
      message = answer.message, retry_at = now + answer.retry })
    redis.call('ZADD', keys.delayed, int(now + answer.retry), id)
    ring(keys, account, now + answer.retry)
  end,
  in_doubt = function()
    transition(keys, options.cap, id, job, 'fax.in_doubt', { state = 'in_doubt', code = answer.code,
      reason = answer.reason, message = answer.message, doubted = token }, { code = answer.code,
      reason = answer.reason, message = answer.message })
    redis.call('ZADD', keys.in_doubt, int(now + options.doubt), id)
    ring(keys, account, now + options.doubt)
  end,
}

if held then
  redis.call('HDEL', keys.holders, token)
  if job.marked ~= '1' or answer.decision == 'released' then
    redis.call('ZREM', keys.permits, token) -- not a byte was sent
  elseif answer.decision == 'in_doubt' then
    redis.call('ZADD', keys.permits, int(now + options.linger), token) -- held while the request could live
    ring(keys, account, now + options.linger)
  else
    answered(keys, account, limits_of(options), token)
  end
  redis.call('HSET', keys.job .. id, 'settled', token)
  by_decision[answer.decision]()
elseif not job or redis.call('HGET', keys.job .. id, 'settled') == token then
  result = job and 'repeated' or 'stale'
elseif job.state == 'in_doubt' and answer.decision ~= 'in_doubt'
  and redis.call('HGET', keys.job .. id, 'doubted') == token then
  redis.call('ZREM', keys.in_doubt, id) -- a late answer settles the doubt
  redis.call('HSET', keys.job .. id, 'settled', token)
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
local free = room(keys, account, limits_of(options))
local wakes = grant_wakes(keys, free, 1, options.wake_lease)
return cjson.encode({ result = result, state = job and job.state, wakes = #wakes > 0 and wakes or nil,
  receipt = applied, submitted_at = job and tonumber(job.submitted_at) })
