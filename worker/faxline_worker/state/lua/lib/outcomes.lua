-- What can happen to a job, one function each, whichever script decides it. `said` is what is known of the answer: code,
-- reason, message. `more` are further fields of the record.
local function with(said, fields)
  local all = { code = said.code, reason = said.reason, message = said.message }
  for name, value in pairs(fields) do all[name] = value end
  return all
end

-- iFax is asked about the job by the schedule, which counts from `since` (ms, steady).
local function ask_about(account, options, id, since)
  local at = since + options.poll_schedule[1]
  redis.call('ZADD', keys.polls, int(at), id)
  ring_by(account, now + at - steady)
end

-- iFax accepted the fax under this jobId. Returns the receipt that had come before and was applied, or nil.
local function accept(account, options, id, job, job_id, more)
  local date = math.max(now, tonumber(job.send_at) or 0) -- iFax begins then, and the receipt's time with it
  local deadline = date + options.deadline
  local early = redis.call('SET', keys.job_ids .. job_id, id, 'PX', int(options.retention + deadline - now), 'GET')
  local changes = with({ code = '', reason = '', message = '' }, more)
  changes.state, changes.job_id, changes.submitted_at, changes.tries = 'submitted', job_id, int(date), 0
  if job.resend_of then changes.resend_of = '' end
  if job.refused_at then changes.refused_at, changes.refusals = '', '' end
  if job.asked then changes.asked = '' end -- about the delivery before
  transition(options.cap, id, job, 'fax.submitted', changes, { send_at = date > now and date or nil })
  redis.call('ZADD', keys.submitted, int(deadline + steady - now), id)
  if job.expires_at then redis.call('ZREM', keys.expiring, id) end
  ring_by(account, deadline)
  if options.asks == 1 then ask_about(account, options, id, steady + date - now) end
  if not is_receipt(early) then return nil end
  local receipt = cjson.decode(early)
  leave_unmatched(receipt)
  receipt.result = apply_receipt(options, id, job, receipt)
  if receipt.result == 'held' then return nil end
  return receipt
end

-- If an older attempt turned out to be accepted while this one was under way, and this one fails, the job is not sent
-- again: it ends by the receipt of the older one. spent: this one counts as an attempt. Returns true, and the receipt that
-- had come before and was applied; or false.
local function taken_before(account, options, id, job, more, spent)
  if not job.also then return false end
  more.also = ''
  if not spent then more.attempt = job.attempt - 1 end
  return true, accept(account, options, id, job, job.also, more)
end

-- Whether the receipt of an older attempt came while this one was under way, and says that the fax was delivered.
local function is_delivered_before(id, job)
  local early = job.also and redis.call('GET', keys.job_ids .. job.also)
  early = is_receipt(early) and cjson.decode(early)
  return early and early.of == id and early.outcome == 'delivered'
end

local function fail(options, id, job, said, more)
  local changes = with(said, more)
  changes.state = 'failed'
  transition(options.cap, id, job, 'fax.failed', ended(options, job, changes), with(said, { stage = 'submission' }))
  leave_line(options, id, job)
  finish(options, id, job)
end

-- No receipt came, and nothing else tells how the fax ended.
local function give_up(options, id, job)
  transition(options.cap, id, job, 'fax.unconfirmed', ended(options, job, { state = 'unconfirmed', reason = 'no_receipt' }),
    { reason = 'no_receipt' })
  leave_line(options, id, job)
  finish(options, id, job)
end

-- The request of this permit may have reached iFax. Until the deadline a receipt may tell; it is found by the number.
local function doubt(account, options, id, job, said, token, more)
  local member = doubt_of(job, id)
  local changes = with(said, more)
  changes.state, changes.doubted, changes[doubt_field(token)] = 'in_doubt', token, member
  transition(options.cap, id, job, 'fax.in_doubt', changes, with(said, {}))
  redis.call('ZADD', keys.in_doubt, int(steady + options.doubt), id)
  redis.call('ZADD', keys.doubts, 0, member)
  redis.call('ZADD', keys.doubts_until, int(steady + options.doubt + options.deadline), member)
  ring_by(account, now + options.doubt)
end

-- iFax accepted an older attempt as well. That is always told.
local function duplicate(options, id, job, job_id)
  local early = redis.call('GET', keys.job_ids .. job_id)
  early = is_receipt(early) and cjson.decode(early)
  if early then leave_unmatched(early) end -- it is the word on this request and on no other
  if job.state == 'submitting' then
    redis.call('HSET', keys.job .. id, 'also', job_id) -- should this attempt come to nothing, that word counts
    if early then
      early.of = id
      redis.call('SET', keys.job_ids .. job_id, cjson.encode(early), 'PX', options.keep)
    end
  else
    early = false
  end
  if not early then redis.call('SET', keys.job_ids .. job_id, id, 'PX', options.retention + options.deadline) end
  redis.call('HSET', keys.job .. id, 'also:' .. job_id, '1') -- for `forget`
  local data = { state = job.state, attempt = job.attempt }
  tell_cause(job, data)
  job.event = emit(options.cap, 'fax.duplicate', id, to_json(data, job_id, job.metadata))
end
