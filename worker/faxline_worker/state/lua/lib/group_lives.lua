-- A group lives as long as one of its jobs has not ended, and then as long as the record of the last. The ids of those jobs
-- stand in a set of their own (`!open`), so that no end looks through the group.
local live_together
do
  local OPEN_JOBS = '!open'

  -- Whether a job of the group has not ended. One that an older process ended is still in the set.
  local function has_open_jobs(group)
    for _ = 1, 100 do
      local id = redis.call('SRANDMEMBER', group .. OPEN_JOBS)
      local state = id and redis.call('HGET', keys.job .. id, 'state')
      if not id or state and not FINAL[state] then return id end
      redis.call('SREM', group .. OPEN_JOBS, id)
    end
    return false
  end

  -- Jobs have joined the group or faxes were rejected; or this job ended. Where no other job is open, what is stored of the
  -- group gets its time to live (ms); but not where it has none yet (-1), as an older process registered its jobs.
  function live_together(retention, name, ended_id)
    local group = keys.group .. name
    if ended_id then redis.call('SREM', group .. OPEN_JOBS, ended_id) end
    local over = not has_open_jobs(group) and (ended_id or redis.call('PTTL', group) ~= -1)
    if ended_id and not over then return end
    for _, suffix in ipairs({ '', OPEN_JOBS, '!size', '!rejected' }) do
      if over then redis.call('PEXPIRE', group .. suffix, retention) else redis.call('PERSIST', group .. suffix) end
    end
  end
end
