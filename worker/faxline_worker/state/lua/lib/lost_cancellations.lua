-- A cancellation that was carried out and told, and that Redis has lost. The job waited to be sent then, so whatever was sent of
-- it had come to nothing; in the older state it may stand where it would be sent again.
local cancel_lost
do
  -- The call that the older state has under way was answered, or its lease ran out. A receipt may still be about it.
  local function end_call(account, options, id, job)
    redis.call('ZREM', keys.permits, permit_of(job.permit, id))
    if job.marked ~= '1' then return end -- and whoever holds it may not send any more
    redis.call('ZADD', keys.permits, int(tonumber(job.lease) or steady + options.lease), permit_of(job.permit))
    doubt(account, options, id, job, LOST_CALL, job.permit, {})
  end

  -- Returns canceled; known (it has ended); or submitted: iFax has it, and when that fails, nothing of it is sent again.
  function cancel_lost(account, options, item, by)
    local id = item.job
    local job = read_record(keys.job .. id, 'lease')
    if job and FINAL[job.state] then return 'known' end
    job = job or store_stand_in(options, item) -- it may be pushed again
    job.cause = { by = by ~= '' and by or nil }
    if job.state == 'submitted' then
      redis.call('HSET', keys.job .. id, 'canceling', 'asked', 'cancel_tries', 0, 'canceler', by)
      if is_for_later(job) then send_control_call(control_call_of('cancel', id)) end
      return 'submitted'
    end
    if job.state == 'submitting' then end_call(account, options, id, job) end
    if job.state == 'queued' then leave_queue(options, id, job) else leave_line(options, id, job) end
    redis.call('ZREM', keys.in_doubt, id)
    local reason = 'canceled_before_sending'
    transition(options.cap, id, job, 'fax.canceled', changes_at_end(options, job, { state = 'canceled', reason = reason }),
      { reason = reason })
    finish(options, id, job)
    return 'canceled'
  end
end
