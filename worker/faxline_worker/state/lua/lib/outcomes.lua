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

local accept
do
  -- Receipts that came before the acceptance: one of an older attempt that ended as delivered, whatever comes of this one, and
  -- this one's own. Returns the one that was applied, or nil.
  local function hear_early(options, id, job, older, early)
    local applied
    local lives = int(options.retention + options.deadline)
    older = older and redis.call('SET', keys.job_ids .. older, id, 'PX', lives, 'GET')
    for _, text in ipairs({ older or '', early or '' }) do
      local receipt = is_receipt(text) and cjson.decode(text)
      if receipt then
        leave_unmatched(receipt)
        if meet_job(options, id, job, receipt) == 'applied' then applied = receipt end
      end
    end
    return applied
  end

  -- iFax accepted the fax under this jobId. Returns the receipt that had come before and was applied, or nil.
  function accept(account, options, id, job, job_id, more)
    local older = job.also ~= job_id and job.also
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
    return hear_early(options, id, job, older, early)
  end
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

-- A delivery failed. Where iFax has an older request of the job, or nobody decided a doubt about a newer one, that one may still
-- be delivered: the job waits for its word before anything is sent again. changes: what the failure changes.
function await_other(options, id, job, receipt, changes)
  local account = { alarm = tonumber(redis.call('HGET', keys.account_state, 'alarm')) or 0 }
  local member = job.undecided and redis.call('HGET', keys.job .. id, doubt_field(job.undecided))
  if job.also and job.also ~= receipt.job_id then
    tell_other(options, id, job, receipt.job_id, receipt)
    changes.also = ''
    accept(account, options, id, job, job.also, changes)
    return true
  elseif member and redis.call('ZSCORE', keys.doubts, member) then
    tell_other(options, id, job, receipt.job_id, receipt)
    changes.job_id, changes.undecided = false, ''
    changes.code, changes.reason, changes.message = nil, nil, nil
    doubt(account, options, id, job, { reason = 'other_failed', message =
      'iFax took an older request, whose delivery failed; whether it took this one is not known' }, job.undecided, changes)
    return true
  end
end

-- iFax accepted another attempt as well, or one of a job that has ended. That is always told. Returns the receipt that had
-- come before, or nil; `applied`: it delivered the job.
local function duplicate(options, id, job, job_id)
  local early = redis.call('SET', keys.job_ids .. job_id, id, 'PX', int(options.retention + options.deadline), 'GET')
  early = is_receipt(early) and cjson.decode(early) or nil
  if early then leave_unmatched(early) end -- it is the word on this request and on no other
  tell_other(options, id, job, job_id, early)
  -- If the one under way comes to nothing, or the one that an operator named is of another fax, that one counts.
  local waits = job.state == 'submitted' and not early
  if (job.state == 'submitting' or waits or job.claimed) and not is_delivered_before(id, job) then
    redis.call('HSET', keys.job .. id, 'also', job_id)
    job.also = job_id
  end
  if early and (early.outcome == 'delivered' or job.state == 'submitting') then
    early.applied = meet_job(options, id, job, early) == 'applied' or nil
  end
  return early
end
