-- report: the answer to a control call: how iFax says that a fax stands (`status`, once its receipt is overdue; `poll`, by the schedule), whether
-- it cancels one, or (`check`, of no job) whether it takes the key.
-- include: clock bell record limits wakes closing account lines numbers receipts doubts outcomes control_calls polling audit
-- ARGV  permit token, control call, JSON answer {decision, code, reason, message, retry (ms), cooldown (ms), jitter, silent,
--       ours, late (as `settle` has them), receipt, sending, to (toNumber), about (the jobId that was asked about); and for
--       the audit call, outcome, status, ms}, JSON
--       options, the steady clock as the caller has it (ms; nothing: it has none)
-- reply JSON {result = applied (a final word) | resolved_doubt (likewise, of a doubt) | submitted (a doubt: iFax has the fax, and is
--       not done) | held (a failure that may not be the last) | later (no final word) | unconfirmed | canceled | refused | again (not now) |
--       checked | repeated, job, submitted_at, retried, apart (as `settle` has it), early (the receipt that had come before and was
--       applied), steady (ms)}
local token, member, answer, options = ARGV[1], ARGV[2], cjson.decode(ARGV[3]), cjson.decode(ARGV[4])
local kind, id = parse_control_call(member)
local job = read_record(keys.job .. id) -- first, for it may refuse
if redis.call('ZREM', keys.permits, permit_of(token, member)) == 0 then
  return cjson.encode({ result = 'repeated', job = id })
end
local account = read_account(options, ARGV[5])
local admitted_at = now_us / 1000 - (answer.seconds or 0) * 1000
learn(account, options, answer, admitted_at, kind)
local apart
if kind == 'poll' then end_question(id, token, answer.decision == 'in_doubt' and options.linger or 0) end
if answer.decision == 'in_doubt' then
  redis.call('ZADD', keys.permits, int(steady + options.linger), permit_of(token))
else
  answered(account, limits_of(options, account), token)
end

-- A question that is refused closes nothing but where that is about the key. iFax does not document fax-status: it may want a permission or
-- a plan that sending does not, or be no more, while faxes are taken.
local KEY = { authentication_failed = true, invalid_key = true, unusable_key = true, key_missing = true }
local function only_the_question()
  if kind ~= 'poll' then return false end
  if answer.decision == 'pause' then return not KEY[answer.reason] end
  return answer.decision == 'unreachable' and answer.status and accepted_since(account, admitted_at - options.recent)
end

local function not_now()
  local decision = answer.decision
  if decision ~= 'defer' and decision ~= 'pause' and decision ~= 'unreachable' then return false end
  if only_the_question() then
    ring_for_room() -- who asked may take no further call
    return true
  end
  if decision == 'defer' then
    begin_cooldown(account, options, admitted_at, answer.cooldown, answer.jitter or 1)
  elseif not answer.late and only_here(account, options, answer) then
    apart = true
  elseif not answer.late then
    pause(account, options, decision == 'pause' and answer.reason or decision, answer, admitted_at)
  end
  if kind == 'poll' then
    if decision ~= 'unreachable' or not answer.status then ask_within(id, 0) end
  elseif decision == 'unreachable' and answer.status then -- it may be about this control call: it does not go first again
    redis.call('ZADD', keys.delayed, int(now + options.unreachable_max), member)
    ring_by_alarm(now + options.unreachable_max)
  else
    send_control_call(member)
  end
  return true
end

-- A key that is refused here pauses nobody: the workers may have another.
local function checked()
  if answer.decision == 'defer' then
    begin_cooldown(account, options, admitted_at, answer.cooldown, answer.jitter or 1)
  end
  ring() -- the permit may be what the next job waits for
  return 'checked'
end

local function stands()
  if answer.receipt then
    if job.job_id ~= answer.receipt.job_id then return 'later' end -- it was sent again meanwhile
    if apply_receipt(options, id, job, answer.receipt) ~= 'held' then return 'applied' end
    answer.sending = true -- perhaps
  end
  if answer.sending then
    redis.call('HSET', keys.job .. id, 'asked', '')
    redis.call('ZADD', keys.submitted, int(steady + options.ask), id)
    return 'later'
  end
  redis.call('ZREM', keys.submitted, id)
  transition(options.cap, id, job, 'fax.unconfirmed',
    ended(options, job, { state = 'unconfirmed', reason = 'no_receipt' }), { reason = 'no_receipt' })
  leave_line(options, id, job)
  finish(options, id, job)
  return 'unconfirmed'
end

-- A word on a doubt, by the jobId that an unclear answer named. iFax has the fax, so it is not sent again; of an older attempt
-- only that it was delivered counts, as ever.
local early
local function settle_doubt()
  local about, attempt = question_of(job)
  local receipt = answer.receipt
  if about ~= answer.about or answer.to and job.number and not same_number(answer.to, job.number) then return 'later' end
  if attempt ~= job.attempt then
    if not receipt or receipt.outcome ~= 'delivered' then return 'later' end
    forget_doubt(doubt_of(job, id))
    redis.call('SET', keys.job_ids .. about, id, 'PX', int(options.retention + options.deadline))
    return apply_receipt(options, id, job, receipt)
  end
  forget_doubt(doubt_of(job, id))
  redis.call('ZREM', keys.in_doubt, id)
  early = accept(account, options, id, job, about, { named = '' })
  if early or not receipt then return early and 'repeated' or 'submitted' end
  local result = meet_job(options, id, job, receipt)
  return result == 'applied' and 'resolved_doubt' or result
end

-- An answer that is not final changes nothing but the schedule. A failure after which iFax may call again is held, as of a webhook, and
-- asked about before that is over; while iFax calls again, the end is put off.
local function polled()
  local strange = answer.receipt and answer.receipt.job_id ~= answer.about
  if strange or not answer.receipt and not answer.sending then return 'later' end
  local result = 'later'
  if job.state == 'in_doubt' then
    result = settle_doubt()
  elseif answer.receipt then
    result = meet_job(options, id, job, answer.receipt)
  elseif job.job_id == answer.about then
    local again_until = redis.call('ZADD', keys.held, 'XX', 'CH', int(steady + options.redial_wait), id)
    if again_until > 0 then ask_within(id, options.redial_wait / 2) end
  end
  if result == 'held' then ask_within(id, options.redial_wait / 2) end
  return result
end

local function canceled()
  if answer.decision == 'accepted' then
    redis.call('ZREM', keys.submitted, id)
    transition(options.cap, id, job, 'fax.canceled', ended(options, job, { state = 'canceled',
      reason = 'canceled_at_ifax', canceling = '' }), { reason = 'canceled_at_ifax' })
    finish(options, id, job)
    return 'canceled'
  end
  local refused = answer.decision == 'refuse'
  if not refused and not cancel_again(options, id, job, answer.retry or 0, answer.decision == 'in_doubt') then
    return 'again'
  end
  local doubt = job.canceling == 'doubt' or answer.decision == 'in_doubt'
  answer_cancel(options, id, job, { reason = doubt and 'unknown' or refused and 'too_late' or 'not_canceled',
    code = answer.code, message = answer.message })
  return 'refused'
end

local function apply_answer()
  if kind == 'check' then return checked() end
  if kind == 'poll' and job then
    if not question_of(job) and not answer.receipt then return 'repeated' end
    return not_now() and 'again' or polled()
  end
  if not job or job.state ~= 'submitted' then return 'repeated' end
  if kind == 'cancel' and not job.canceling then return 'repeated' end
  if not_now() then return 'again' end
  if kind == 'cancel' then return canceled() end
  return stands()
end
local result = apply_answer()
local asked = kind ~= 'check' and not apart
probed(account, options, answer, admitted_at, asked)
if answer.call then
  audit(options, options.who, answer.call, { job = id, outcome = answer.outcome,
    status = answer.status, code = answer.code, reason = answer.reason, jobId = answer.about, ms = answer.ms })
end
return reply_at({ result = result, job = id, submitted_at = job and tonumber(job.submitted_at),
  apart = apart, early = early, retried = answer.receipt and answer.receipt.retried or nil })
