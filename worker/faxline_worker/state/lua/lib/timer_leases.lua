local run_leases
do
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

  -- A lease ran out before the first byte. What the worker reads of the fax may be what ended it, or took it too long. So each
  -- time in a row the fax waits longer, and others go first; and it fails where others were accepted meanwhile, or after very
  -- many times.
  local FUTILE = 5
  local function lose_unsent(run, id, job)
    local options = run.options
    local times, since = string.match(job.unsent or '', '^(%d+) (%d+)$')
    times, since = (tonumber(times) or 0) + 1, tonumber(since) or steady
    local at_fault = times >= options.tries and accepted_since(run.account, since)
    if not run.old and (at_fault or times >= FUTILE * options.tries) then
      fail(options, id, job, { reason = 'worker_lost', message = 'the worker ended, or took too long, ' .. int(times) ..
        ' times in a row before the request began' }, { attempt = job.attempt - 1 })
      return note_change(run, id, 'fax.failed', 'worker_lost')
    end
    local wait = math.min(options.retry_max, steady - since)
    put_back(options, id, job, '', wait > 0 and wait or nil, { 'unsent', int(times) .. ' ' .. int(since) })
  end

  -- Leases that ran out, and requests that can no longer live.
  function run_leases(run)
    local options, account = run.options, run.account
    for _, permit in ipairs(due(run, keys.permits, steady)) do
      local token, id = string.match(permit, '^[^|]*'), held_for(permit)
      local job = id and read_record(keys.job .. id, 'marked_at')
      local lost = job and job.state == 'submitting' and job.permit == token
      redis.call('ZREM', keys.permits, permit)
      run.look = true
      if lost and job.marked ~= '1' then
        if not fall_back_on_older(account, options, id, job, {}) then lose_unsent(run, id, job) end
      else
        if id then lost_control_call(run, id, token) end
        note_answer(account, run.limits, token)
        if lost and is_delivered_before(id, job) then
          keep_doubt(options, id, job, token)
          fall_back_on_older(account, options, id, job, {}, true)
          note_change(run, id, 'fax.submitted', 'worker_lost')
        elseif lost then
          job.cause = { started_at = tonumber(job.marked_at) }
          doubt(account, options, id, job, { reason = 'worker_lost', message =
            'the worker ended, or lost Redis, after the request had begun' }, token,
            { unsent = job.unsent and '' }) -- it began this time
          note_change(run, id, 'fax.in_doubt', 'worker_lost')
          audit(options, options.who, is_resent(job) and 'fax-resend' or 'fax-' .. job.kind,
            { job = id, attempt = job.attempt, outcome = 'in_doubt', reason = 'worker_lost' })
        end
      end
    end
  end
end
