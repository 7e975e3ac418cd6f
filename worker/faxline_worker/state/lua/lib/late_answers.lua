-- An answer that came after its lease had run out, so that others have decided about the job meanwhile. call: as in
-- decisions.lua. Returns the result of `settle`.

local settle_late
do
  -- Whether the job knows of this acceptance: a receipt, an operator or this call told it before.
  local function is_known_acceptance(call)
    local job, job_id = call.job, call.answer.job_id
    return call.answer.decision == 'accepted' and (job.job_id == job_id or job.also == job_id
      or redis.call('GET', keys.job_ids .. job_id) == call.id)
  end

  -- Redis had lost that the delivery before failed, and that this call followed it (recover).
  local function forget_older_delivery(call)
    local job = call.job
    redis.call('ZREM', keys.submitted, call.id)
    job.resend_of, job.job_id = job.job_id, nil
    redis.call('HSET', keys.job .. call.id, 'job_id', '')
  end

  -- The state may have been older than the call (recover): what the job tells of its last attempt is told by the answer.
  local function take_attempt_back(call)
    local job, answer, started_at = call.job, call.answer, call.answer.started_at or now
    if (answer.attempt or 0) <= job.attempt and job.admitted_at then return end
    local granted_at = started_at + steady - now
    call.settled.attempt = math.max(answer.attempt or 0, job.attempt)
    call.settled.admitted_at, call.settled.granted_at = int(started_at), int(granted_at)
    call.settled.lease = int(granted_at + call.options.lease + call.options.upload)
  end

  -- What the answer means. A fax that iFax did not take, and of which Redis lost the content (recover), cannot be sent again.
  local function decision_about(call)
    local decision = call.answer.decision
    if decision == 'accepted' or redis.call('HGET', keys.job .. call.id, 'digest') ~= LOST_DIGEST then return decision end
    if decision ~= 'refuse' then
      call.said = { code = call.said.code, reason = ROLLED_BACK, message = 'not taken, and Redis lost the content' }
    end
    return 'refuse'
  end

  function settle_late(call)
    local options, id, job, answer = call.options, call.id, call.job, call.answer
    if job.settled == call.token or is_known_acceptance(call) then return 'repeated' end
    if answer.decision == 'in_doubt' then return 'stale' end
    local accepted, waits = answer.decision == 'accepted', job.state == 'in_doubt' or job.state == 'queued'
    if accepted and job.state == 'submitted' and (answer.attempt or 0) > job.attempt then
      forget_older_delivery(call)
      waits = true
    end
    local member = redis.call('HGET', keys.job .. id, doubt_field(call.token))
    if member then forget_doubt(member) end
    if accepted and waits or job.state == 'in_doubt' and job.doubted == call.token then
      -- It settles the doubt. A job that iFax accepted in an older attempt is not sent again.
      if job.state == 'queued' then leave_queue(options, id, job) end
      if job.state == 'in_doubt' and job.doubted ~= call.token then call.settled.undecided = job.doubted end
      redis.call('ZREM', keys.in_doubt, id)
      take_attempt_back(call)
      DECISIONS[decision_about(call)](call)
      return 'resolved'
    elseif accepted then
      local early = accept_other(options, id, job, answer.job_id) or {}
      call.applied, call.after = early.applied and early, early.after
      return 'duplicate'
    end
    return 'stale'
  end
end
