-- What the answer to a control call does to its job: one function for `status` and one for `cancel`. call: as in
-- put_off_call.lua, with `job`. They return the result of `report`.

-- How the fax of an overdue receipt stands.
local function apply_status(call)
  local options, id, job, answer = call.options, call.id, call.job, call.answer
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
  give_up(options, id, job)
  return 'unconfirmed'
end

-- Whether iFax cancels a fax that it keeps for a date.
local function apply_cancel(call)
  local options, id, job, answer = call.options, call.id, call.job, call.answer
  if answer.decision == 'accepted' then
    if await_other(options, id, job, { outcome = 'canceled', job_id = job.job_id }, {}) then return 'later' end
    redis.call('ZREM', keys.submitted, id)
    job.cause = job.cause or {}
    if job.canceler ~= '' then job.cause.by = job.canceler end
    local changes = changes_at_end(options, job, { state = 'canceled', reason = 'canceled_at_ifax', canceling = '' })
    transition(options.cap, id, job, 'fax.canceled', changes, { reason = 'canceled_at_ifax' })
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
