-- What the answer to a question of the schedule (`poll`) does to its job. call: as in put_off_call.lua, with `job`. Returns
-- the result of `report`.

local apply_poll
do
  -- The question was about a doubt, by the jobId that an unclear answer had named. iFax has the fax, so it is not sent again. Of
  -- an older attempt only a delivery counts. Sets call.early: the receipt that had come before and was applied.
  local function settle_doubt(call)
    local options, id, job, answer = call.options, call.id, call.job, call.answer
    local about, attempt = question_of(job)
    local receipt = answer.receipt
    if about ~= answer.about or answer.to and job.number and not same_number(answer.to, job.number) then return 'later' end
    if attempt ~= job.attempt then
      if not receipt or receipt.outcome ~= 'delivered' then return 'later' end
      redis.call('SET', keys.job_ids .. about, id, 'PX', int(options.retention + options.deadline))
      return apply_receipt(options, id, job, receipt)
    end
    forget_doubt(doubt_of(job, id))
    redis.call('ZREM', keys.in_doubt, id)
    call.early = accept(call.account, options, id, job, about, { named = '' })
    local result = receipt and meet_job(options, id, job, receipt) or call.early and 'repeated' or 'submitted'
    return result == 'applied' and 'resolved_doubt' or result
  end

  -- An answer that is not final changes nothing but the schedule. A failure after which iFax may call again is held, as one of a
  -- webhook is, and asked about before the wait is over. While iFax calls again, the end is put off.
  function apply_poll(call)
    local options, id, job, answer = call.options, call.id, call.job, call.answer
    local owned = job.state == 'in_doubt' or job.job_id == answer.about
      or answer.receipt and redis.call('GET', keys.job_ids .. (answer.about or '')) == id
    local strange = not owned or answer.receipt and answer.receipt.job_id ~= answer.about
    if strange or not answer.receipt and not answer.sending then return 'later' end
    local result = 'later'
    if job.state == 'in_doubt' then
      result = settle_doubt(call)
    elseif answer.receipt then
      result = meet_job(options, id, job, answer.receipt)
    elseif job.job_id == answer.about then
      local again_until = redis.call('ZADD', keys.held, 'XX', 'CH', int(steady + options.redial_wait), id)
      if again_until > 0 then ask_within(id, options.redial_wait / 2) end
    end
    if result == 'held' then ask_within(id, options.redial_wait / 2) end
    return result
  end
end
