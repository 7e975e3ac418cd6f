-- report: the answer to an errand: how iFax says that a submitted fax stands, whether it cancels one, or (`check`, of no
-- job) whether it takes the key.
-- include: clock bell record limits wakes closing account lines numbers receipts outcomes errands audit
-- KEYS  account, ready, permits, answers, submitted, in_doubt, expiring, events, doorbell, job prefix
-- ARGV  permit token, errand, JSON answer {decision, code, reason, message, retry (ms), gate (ms), jitter, silent,
--       ours, late (as `settle` has them), receipt, sending; and for the audit call, outcome, status, ms}, JSON
--       options, the steady clock as the caller has it (ms; nothing: it has none)
-- reply JSON {result = applied (a final word) | later (it is still being sent) | unconfirmed | canceled | refused |
--       again (not now) | checked | repeated, job, submitted_at, retried, apart (as `settle` has it), steady (ms)}
local keys = { account = KEYS[1], ready = KEYS[2], permits = KEYS[3], answers = KEYS[4], submitted = KEYS[5],
  in_doubt = KEYS[6], expiring = KEYS[7], events = KEYS[8], doorbell = KEYS[9], job = KEYS[10] }
local token, member, answer, options = ARGV[1], ARGV[2], cjson.decode(ARGV[3]), cjson.decode(ARGV[4])
local kind, id = parse_errand(member)
local job = read_record(keys.job .. id) -- first, for it may refuse
if redis.call('ZREM', keys.permits, permit_of(token, member)) == 0 then
  return cjson.encode({ result = 'repeated', job = id })
end
local account = read_account(keys.account, options, ARGV[5])
local admitted_at = now_us / 1000 - (answer.seconds or 0) * 1000
learn(keys, account, options, answer, admitted_at, true)
local apart
if answer.decision == 'in_doubt' then
  redis.call('ZADD', keys.permits, int(steady + options.linger), permit_of(token))
else
  answered(keys, account, limits_of(options, account), token)
end

local function not_now()
  local decision = answer.decision
  if decision ~= 'defer' and decision ~= 'pause' and decision ~= 'unreachable' then return false end
  if decision == 'defer' then
    close_gate(keys, account, options, admitted_at, answer.gate, answer.jitter or 1)
  elseif not answer.late and only_here(keys, account, options, answer) then
    apart = true
  elseif not answer.late then
    pause(keys, account, options, decision == 'pause' and answer.reason or decision, answer, admitted_at)
  end
  if decision == 'unreachable' and answer.status then -- it may be about this errand: it does not go first again
    redis.call('ZADD', beside(keys, 'delayed'), int(now + options.unreachable_max), member)
    ring_by_alarm(keys, now + options.unreachable_max)
  else
    send_errand(keys, member)
  end
  return true
end

-- A key that is refused here pauses nobody: the workers may have another.
local function checked()
  if answer.decision == 'defer' then
    close_gate(keys, account, options, admitted_at, answer.gate, answer.jitter or 1)
  end
  ring(keys) -- the permit may be what the next job waits for
  return 'checked'
end

local function stands()
  if answer.receipt then
    if apply_receipt(keys, options, id, job, answer.receipt) ~= 'held' then return 'applied' end
    answer.sending = true -- perhaps
  end
  if answer.sending then
    redis.call('HSET', keys.job .. id, 'asked', '')
    redis.call('ZADD', keys.submitted, int(steady + options.ask), id)
    return 'later'
  end
  redis.call('ZREM', keys.submitted, id)
  transition(keys, options.cap, id, job, 'fax.unconfirmed',
    ended(options, job, { state = 'unconfirmed', reason = 'no_receipt' }), { reason = 'no_receipt' })
  leave_line(keys, options, id, job)
  finish(keys, options, id, job)
  return 'unconfirmed'
end

local function canceled()
  if answer.decision == 'accepted' then
    redis.call('ZREM', keys.submitted, id)
    transition(keys, options.cap, id, job, 'fax.canceled', ended(options, job, { state = 'canceled',
      reason = 'canceled_at_ifax', canceling = '' }), { reason = 'canceled_at_ifax' })
    finish(keys, options, id, job)
    return 'canceled'
  end
  local refused = answer.decision == 'refuse'
  if not refused and not cancel_again(keys, options, id, job, answer.retry or 0, answer.decision == 'in_doubt') then
    return 'again'
  end
  local doubt = job.canceling == 'doubt' or answer.decision == 'in_doubt'
  answer_cancel(keys, options, id, job, { reason = doubt and 'unknown' or refused and 'too_late' or 'not_canceled',
    code = answer.code, message = answer.message })
  return 'refused'
end

local function conclude()
  if kind == 'check' then return checked() end
  if not job or job.state ~= 'submitted' then return 'repeated' end
  if kind == 'cancel' and not job.canceling then return 'repeated' end
  if not_now() then return 'again' end
  if kind == 'cancel' then return canceled() end
  return stands()
end
local result = conclude()
local asked = kind ~= 'check' and not apart
probed(keys, account, options, answer, admitted_at, asked)
if answer.call then
  audit(beside(keys, 'audit'), options, options.who, answer.call, { job = id, outcome = answer.outcome,
    status = answer.status, code = answer.code, reason = answer.reason, jobId = answer.about, ms = answer.ms })
end
return reply_at({ result = result, job = id, submitted_at = job and tonumber(job.submitted_at),
  apart = apart, retried = answer.receipt and answer.receipt.retried or nil })
