local run_overdue
do
  -- Whether a job's last question is still to be asked. At the deadline iFax is asked about each job once more, because the fax
  -- may have ended since the last moment of the schedule. If there is no room, the deadline waits, at most as long again.
  local LAST_WAIT = 60000
  local function still_to_ask(run, id, job)
    local options = run.options
    if options.asks ~= 1 or steady > asked_since(job) + 2 * options.deadline then return false end
    local at = redis.call('ZSCORE', keys.polls, id)
    return at and (tonumber(at) <= steady or is_asked(id) or job.asked ~= '1')
  end

  -- No receipt came in time: iFax is asked, if it may be, and then the job is unconfirmed.
  function run_overdue(run)
    local options = run.options
    for _, id in ipairs(run.old and {} or due(run, keys.submitted, steady)) do
      local job = read_record(keys.job .. id, 'held') -- first, because it may refuse
      redis.call('ZREM', keys.submitted, id)
      if job and job.state == 'submitted' and job.held and job.held ~= '' then -- a failure is known, and will be told
        redis.call('ZADD', keys.submitted, int(steady + options.sweep), id)
      elseif job and job.state == 'submitted' and options.status_call and job.asked ~= '1' then
        redis.call('HSET', keys.job .. id, 'asked', '1') -- and if no answer to it comes, unconfirmed all the same
        redis.call('ZADD', keys.submitted, int(steady + options.ask), id)
        send_control_call(control_call_of('status', id))
        run.look = true
      elseif job and job.state == 'submitted' and still_to_ask(run, id, job) then
        redis.call('HSET', keys.job .. id, 'asked', '1')
        redis.call('ZADD', keys.polls, LAST, id)
        redis.call('ZADD', keys.submitted, int(steady + LAST_WAIT), id)
      elseif job and job.state == 'submitted' then
        redis.call('ZREM', keys.ready, control_call_of('status', id), control_call_of('cancel', id))
        redis.call('ZREM', keys.delayed, control_call_of('cancel', id))
        give_up(options, id, job)
        note_change(run, id, 'fax.unconfirmed', 'no_receipt')
      end
    end
  end
end
