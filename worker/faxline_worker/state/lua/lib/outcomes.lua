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

local meet_job -- in meetings.lua, where a job may be accepted, too
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
    if job.also == job_id then redis.call('HDEL', keys.job .. id, 'also:' .. job_id) end -- it is no other one any more
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

local function fail(options, id, job, said, more)
  local changes = with(said, more)
  changes.state = 'failed'
  transition(options.cap, id, job, 'fax.failed', changes_at_end(options, job, changes), with(said, { stage = 'submission' }))
  leave_line(options, id, job)
  finish(options, id, job)
end

-- No receipt came, and nothing else tells how the fax ended.
local function give_up(options, id, job)
  local changes = changes_at_end(options, job, { state = 'unconfirmed', reason = 'no_receipt' })
  transition(options.cap, id, job, 'fax.unconfirmed', changes, { reason = 'no_receipt' })
  leave_line(options, id, job)
  finish(options, id, job)
end

-- The request of this permit may have reached iFax.
local function doubt(account, options, id, job, said, token, more)
  local member, changes = doubt_of(job, id), with(said, more)
  changes.state, changes.doubted, changes[doubt_field(token)] = 'in_doubt', token, member
  transition(options.cap, id, job, 'fax.in_doubt', changes, with(said, {}))
  redis.call('ZADD', keys.in_doubt, int(steady + options.doubt), id)
  enter_doubt(options, job, member)
  ring_by(account, now + options.doubt)
end
