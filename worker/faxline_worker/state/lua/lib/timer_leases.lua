-- The worker is gone, so the result of its control call is unknown: it is made again.
local function lost_control_call(run, member, token)
  local options = run.options
  local kind, id = parse_control_call(member)
  if kind == 'poll' then
    end_question(id, token)
    return ask_again(id)
  end
  local job = kind == 'cancel' and read_record(keys.job .. id)
  if job and job.state == 'submitted' and job.canceling and cancel_again(options, id, job, 1000, true) then
    answer_cancel(options, id, job, { reason = 'unknown' })
  end
end

-- Leases that ran out, and requests that can no longer live.
local function run_leases(run)
  local options, account = run.options, run.account
  for _, permit in ipairs(due(run, keys.permits, steady)) do
    local token, id = string.match(permit, '^[^|]*'), held_for(permit)
    local job = id and read_record(keys.job .. id, 'marked_at')
    local lost = job and job.state == 'submitting' and job.permit == token
    redis.call('ZREM', keys.permits, permit)
    run.look = true
    if lost and job.marked ~= '1' then
      if not taken_before(account, options, id, job, {}) then put_back(options, id, job, '') end
    else
      if id then lost_control_call(run, id, token) end
      answered(account, run.limits, token)
      if lost and is_delivered_before(id, job) then
        taken_before(account, options, id, job, {}, true)
        tell(run, id, 'fax.submitted', 'worker_lost')
      elseif lost then
        job.cause = { started_at = tonumber(job.marked_at) }
        doubt(account, options, id, job, { reason = 'worker_lost', message =
          'the worker ended, or lost Redis, after the request had begun' }, token, {})
        tell(run, id, 'fax.in_doubt', 'worker_lost')
        audit(options, options.who, is_resent(job) and 'fax-resend' or 'fax-' .. job.kind,
          { job = id, attempt = job.attempt, outcome = 'in_doubt', reason = 'worker_lost' })
      end
    end
  end
end
