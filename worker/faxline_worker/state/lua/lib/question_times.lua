-- When iFax is asked about a job, by the schedule.
local LAST = 0 -- the place in `polls` of one whose receipt is overdue: its question goes first

-- From when (ms, steady) the schedule counts: the acceptance, or the call that is in doubt.
local function asked_since(job)
  local called = tonumber(job.admitted_at) or now
  local since = tonumber(job.granted_at) or called + steady - now
  return job.state == 'submitted' and since + math.max(0, (tonumber(job.submitted_at) or called) - called) or since
end

-- When the next question is due. After a question that was late for want of room, at least as much time passes again.
local function next_question(options, job, late)
  local since, schedule = asked_since(job), options.poll_schedule
  local passed = steady - since + late
  for _, at in ipairs(schedule) do
    if at > passed then return since + at end
  end
  local step = schedule[#schedule]
  return since + step * (math.floor(passed / step) + 1)
end

local function is_asked(id) return redis.call('ZSCORE', keys.asks, '!' .. id) ~= false end

-- iFax is asked once more, at the latest in `wait` ms, if the schedule has the job. Returns whether it has.
local function ask_within(id, wait)
  if not redis.call('ZSCORE', keys.polls, id) then return false end
  redis.call('ZADD', keys.polls, 'LT', int(steady + wait), id)
  return true
end
