-- What becomes of a job that iFax may have twice: it waits for the word on one request while there is one on the other.
local fall_back_on_older, await_other
do
  -- It waits for the word on this one from now on, and so does the wish that it is canceled, with tries and doubts of its own.
  local function wait_for(account, options, id, job, other, changes)
    changes.also = next_other(id, other)
    local applied = accept(account, options, id, job, other, changes)
    if job.canceling and is_for_later(job) then
      redis.call('HSET', keys.job .. id, 'canceling', 'asked', 'cancel_tries', 0)
      send_control_call(control_call_of('cancel', id))
    end
    return applied
  end

  -- If an older attempt turned out to be accepted while this one was under way, and this one fails, the job is not sent
  -- again: it ends by the receipt of the older one. spent: this one counts as an attempt. Returns true, and the receipt that
  -- had come before and was applied; or false.
  function fall_back_on_older(account, options, id, job, more, spent)
    if not job.also then return false end
    if not spent then more.attempt = job.attempt - 1 end
    return true, wait_for(account, options, id, job, job.also, more)
  end

  -- One request failed or was canceled. Where iFax has another one of the job, that may still be delivered, or canceled for a
  -- wish that came: the job waits for its word. So it does before another delivery (after `wait`) where nobody decided a doubt
  -- about a newer one. changes: what the end of the first changes.
  function await_other(options, id, job, receipt, changes, wait)
    local other = job.also ~= receipt.job_id and job.also
    local member = wait and job.undecided and redis.call('HGET', keys.job .. id, doubt_field(job.undecided))
    if not other and not (member and redis.call('ZSCORE', keys.doubts, member)) then return false end
    tell_other(options, id, job, receipt.job_id, receipt)
    receipt.retried = true -- the job has not ended
    changes.code, changes.reason, changes.message = nil, nil, nil
    if other then
      wait_for({}, options, id, job, other, changes)
    else
      changes.job_id, changes.undecided = false, ''
      doubt({}, options, id, job, { reason = 'other_failed', message =
        'iFax took an older request, whose delivery failed; whether it took this one is not known' }, job.undecided, changes)
    end
    return true
  end
end

-- iFax took the request in doubt: its unclear answer had named the receipt's jobId. So no other receipt is about that doubt. If
-- iFax may call again, the job waits for that, and no policy sends it.
local function take_named(options, id, job, receipt)
  forget_doubt(doubt_of(job, id))
  if not may_redial(options, receipt) then return end
  redis.call('ZREM', keys.in_doubt, id)
  accept({}, options, id, job, receipt.job_id, { named = '' })
end

-- iFax accepted another attempt as well, or one of a job that has ended. That is always told. Returns the receipt that had
-- come before, or nil; `applied`: it delivered the job.
local function accept_other(options, id, job, job_id)
  local early = redis.call('SET', keys.job_ids .. job_id, id, 'PX', int(options.retention + options.deadline), 'GET')
  early = is_receipt(early) and cjson.decode(early) or nil
  if early then leave_unmatched(early) end -- it is the word on this request and on no other
  local known = early and not may_redial(options, early) and early or nil
  tell_other(options, id, job, job_id, known)
  -- If the one under way comes to nothing, or the one that an operator named is of another fax, that one counts.
  local waits = not known and (job.state == 'submitted' or job.claimed)
  if (job.state == 'submitting' or waits) and not is_delivered_before(id, job) then
    redis.call('HSET', keys.job .. id, 'also', job_id)
    job.also = job_id
  end
  if early and (not known or early.outcome == 'delivered' or job.state == 'submitting') then
    early.applied = meet_job(options, id, job, early) == 'applied' or nil
  end
  return early
end
