-- report: the answer to a control call: how a fax stands (`status`, once its receipt is overdue; `poll`, by the schedule),
-- whether iFax cancels it (`cancel`), or whether iFax takes the key (`check`, about no job).
-- include: clock bell record events group_lives endings permits offers account_hash limits answers probes closing
-- include: acceptances account ready_set lines line_ends numbers unmatched redeliveries redials doubts other_words
-- include: outcomes control_calls other_requests receipts meetings claims polling question_times audit asked_again
-- include: put_off_call control_answers poll_answers
-- ARGV  permit token, control call, JSON answer {decision, code, reason, message, retry (ms), cooldown (ms), jitter,
--       silent, ours, late (as `settle` has them), receipt, sending, to (toNumber), about (the jobId that was asked about);
--       and for the audit call, outcome, status, ms}, JSON options, the steady clock as the caller knows it (ms, or empty)
-- reply JSON {result = applied (a final word) | resolved_doubt (a final word on a doubt) | submitted (a doubt: iFax has the
--       fax, and is not done) | held (a failure that may not be the last) | later (no final word) | unconfirmed | canceled
--       | refused | again (not now) | checked | repeated | told, job, submitted_at, retried, apart (as `settle` has it), early
--       (the receipt that had come before and was applied), steady (ms)}
local token, member, answer, options = ARGV[1], ARGV[2], cjson.decode(ARGV[3]), cjson.decode(ARGV[4])
local kind, id = parse_control_call(member)
local job = read_record(keys.job .. id, 'canceler') -- first, because it may refuse
if redis.call('ZREM', keys.permits, permit_of(token, member)) == 0 then
  return cjson.encode({ result = 'repeated', job = id })
end
local account = read_account(options, ARGV[5])
keep_for_archive(options, account.archive)
if answer.receipt and not options.archive then answer.receipt.raw = nil end
if job and answer.call then job.cause = cause_of(nil, answer.ms) end
local call = { account = account, options = options, id = id, job = job, kind = kind, member = member, answer = answer,
  admitted_at = now_us / 1000 - (answer.seconds or 0) * 1000 }
learn(account, options, answer, call.admitted_at, kind)
if kind == 'poll' then end_question(id, token, answer.decision == 'in_doubt' and options.linger or 0) end
if answer.decision == 'in_doubt' then
  redis.call('ZADD', keys.permits, int(steady + options.linger), permit_of(token))
else
  note_answer(account, limits_of(options, account), token)
end

-- A key that is refused here pauses nothing: the workers may have another.
local function apply_check()
  if answer.decision == 'defer' then
    begin_cooldown(account, options, call.admitted_at, answer.cooldown, answer.jitter or 1)
  end
  ring() -- the next job may wait for the permit
  return 'checked'
end

local function apply_answer()
  if kind == 'check' then return apply_check() end
  local to = answer.to or answer.receipt and answer.receipt.to
  if job and job.job_id == answer.about and is_of_another(job, answer.about, to) then
    redis.call('DEL', keys.job_ids .. answer.about)
    if job.state == 'submitted' then doubt_again(options, id, job) end
    return 'later'
  end
  if kind == 'poll' and job then
    if not askable(job) and not answer.receipt then return 'repeated' end
    return put_off_call(call) and 'again' or apply_poll(call)
  end
  if not job or job.state ~= 'submitted' then return 'repeated' end
  if answer.about and answer.about ~= job.job_id or kind == 'cancel' and not job.canceling then return 'repeated' end
  if put_off_call(call) then return 'again' end
  if kind == 'cancel' then return apply_cancel(call) end
  return apply_status(call)
end

local result = apply_answer()
end_probe(account, options, answer, call.admitted_at, kind ~= 'check' and not call.apart)
if answer.call then
  audit(options, options.who, answer.call, { job = id, outcome = answer.outcome, status = answer.status, code = answer.code,
    reason = answer.reason, jobId = answer.about, ms = answer.ms })
end
return reply_at({ result = result, job = id, submitted_at = job and tonumber(job.submitted_at), apart = call.apart,
  early = call.early, after = answer.receipt and answer.receipt.after or nil,
  retried = answer.receipt and answer.receipt.retried or nil })
