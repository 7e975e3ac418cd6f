-- Nobody tells what became of a fax-cancel whose worker is gone: it is asked again.
local function lost_control_call(run, member, token)
  local keys, options = run.keys, run.options
  local kind, id = parse_control_call(member)
  if kind == 'poll' then
    end_question(keys, id, token)
    return ask_within(keys, id, 0)
  end
  local job = kind == 'cancel' and read_record(keys.job .. id)
  if job and job.state == 'submitted' and job.canceling and cancel_again(keys, options, id, job, 1000, true) then
    answer_cancel(keys, options, id, job, { reason = 'unknown' })
  end
end

-- Leases that ran out, and requests that can live no longer.
local function run_leases(run)
  local keys, options, account = run.keys, run.options, run.account
  for _, permit in ipairs(due(run, keys.permits, steady)) do
    local token, id = string.match(permit, '^[^|]*'), held_for(permit)
    local job = id and read_record(keys.job .. id)
    local lost = job and job.state == 'submitting' and job.permit == token
    redis.call('ZREM', keys.permits, permit)
    run.look = true
    if lost and job.marked ~= '1' then
      if not taken_before(keys, account, options, id, job, {}) then put_back(keys, options, id, job, '') end
    else
      if id then lost_control_call(run, id, token) end
      answered(keys, account, run.limits, token)
      if lost then
        doubt(keys, account, options, id, job, { reason = 'worker_lost', message =
          'the worker ended, or lost Redis, after the request had begun' }, token, {})
        tell(run, id, 'fax.in_doubt', 'worker_lost')
        audit(beside(keys, 'audit'), options, options.who, is_resent(job) and 'fax-resend' or 'fax-' .. job.kind,
          { job = id, attempt = job.attempt, outcome = 'in_doubt', reason = 'worker_lost' })
      end
    end
  end
end
