-- A call of which Redis has lost what it knew: it becomes a doubt, or submitted if its jobId is known, so that its job is not
-- sent again.
local recover_call
do
  local NOT_TAKEN = { refuse = true, retry = true, defer = true, pause = true, unreachable = true, unknown = true,
    released = true }

  -- Takes the job out of where it stands; false where it stays: it has ended, or a later attempt is under way or taken.
  local function take_up(options, item, job)
    if FINAL[job.state] then return false end
    if job.state == 'queued' then
      leave_queue(options, item.job, job)
    elseif job.state == 'submitting' then
      if job.marked == '1' then return false end
      redis.call('ZREM', keys.permits, permit_of(job.permit, item.job)) -- whoever holds it may not send any more
      job.attempt = job.attempt - 1
    elseif job.state == 'submitted' then
      if item.attempt <= job.attempt then return false end
      redis.call('ZREM', keys.submitted, item.job)
      job.resend_of, job.job_id = job.job_id, nil -- as `deliver_again`: its receipt is no word on the later attempt
      redis.call('HSET', keys.job .. item.job, 'job_id', '', 'resend_of', job.resend_of)
    else
      redis.call('ZREM', keys.in_doubt, item.job)
    end
    return true
  end

  -- A fax of which nothing is left, and a call after which it was called again: so this one had come to its end, and the last
  -- one tells how the fax ended. Its receipt is no word on any other.
  local function pass_over(options, item)
    local early = redis.call('SET', keys.job_ids .. item.job_id, item.job, 'PX', options.retention + options.deadline, 'GET')
    if is_receipt(early) then leave_unmatched(cjson.decode(early)) end
  end

  -- call: {account, options, limits, by (who orders it), followed (the job was called again after this call)}. Returns what
  -- became of it, as in the reply of `recover`.
  function recover_call(call, item)
    local account, options = call.account, call.options
    if redis.call('ZSCORE', keys.answers, item.token) == false then note_answer(account, call.limits, item.token) end
    if NOT_TAKEN[item.decision] or knows_call(keys.job .. item.job, item.token) then return 'known' end
    if item.job_id and redis.call('GET', keys.job_ids .. item.job_id) == item.job then return 'known' end
    local job = read_record(keys.job .. item.job)
    if not job and item.job_id and call.followed then
      pass_over(options, item)
      return 'known'
    end
    job = job or store_stand_in(options, item)
    job.cause = { by = call.by, started_at = item.at }
    if not take_up(options, item, job) then
      if item.job_id then
        accept_other(options, item.job, job, item.job_id)
      else
        keep_doubt(options, item.job, { number = job.number, send_at = job.send_at, admitted_at = item.at }, item.token)
      end
      return 'ended'
    end
    job.admitted_at, job.attempt = int(item.at), math.max(job.attempt, item.attempt)
    local granted_at = item.at + steady - now -- what is known of its lease went with the call: it may have been the longest
    local more = { attempt = job.attempt, admitted_at = job.admitted_at, permit = item.token, marked = '1',
      granted_at = int(granted_at), lease = int(granted_at + options.lease + options.upload) }
    if item.job_id then
      more.settled = item.token
      return accept(account, options, item.job, job, item.job_id, more) and 'settled' or 'submitted'
    end
    doubt(account, options, item.job, job, LOST_CALL, item.token, more)
    return 'in_doubt'
  end
end
