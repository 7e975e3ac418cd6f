-- iFax is asked how jobs stand (fax-status). `polls` has each job to ask about, by when (ms, steady) it is next: submitted
-- jobs if FAXLINE_RESULTS says so, and always a doubt whose jobId is known. A question is the control call `poll`, in the
-- ready set behind all submissions that are due. `asks` has the questions of the last window: as !job from its place in the
-- ready set until its answer (+inf), then by the permit's token when it was answered (us). So a question counts for the
-- share as a call counts for the limits.
local LAST = 0 -- the place in `polls` of one whose receipt is overdue: its question goes first

-- What is asked about: the jobId, and the attempt (0: an older one). Nothing if there is no question.
local function question_of(job)
  if job.state == 'submitted' then return job.job_id, job.attempt end
  local attempt, job_id = string.match(job.state == 'in_doubt' and job.named or '', '^(%d+) (%d+)$')
  return job_id, tonumber(attempt)
end

-- The same, and an operator may have iFax asked about a fax that ended without a receipt, too.
local function askable(job)
  if job.state == 'unconfirmed' then return job.job_id, job.attempt end
  return question_of(job)
end

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

-- The question is answered, or can no longer be after `wait` ms. Without a token it was not asked.
local function end_question(id, token, wait)
  redis.call('ZREM', keys.asks, '!' .. id)
  if token then redis.call('ZADD', keys.asks, int(now_us + (wait or 0) * 1000), token) end
end

-- iFax is asked once more, at the latest in `wait` ms, if the schedule has the job. Returns whether it has.
local function ask_within(id, wait)
  if not redis.call('ZSCORE', keys.polls, id) then return false end
  redis.call('ZADD', keys.polls, 'LT', int(steady + wait), id)
  return true
end
