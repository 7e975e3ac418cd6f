-- iFax is asked how jobs stand (fax-status). `polls` has each job to ask about, by when (ms, steady) it is next: submitted
-- jobs if FAXLINE_RESULTS says so, and always a doubt whose jobId is known. A question is the control call `poll`, in the
-- ready set behind all submissions that are due. `asks` has the questions of the last window: as !job from its place in the
-- ready set until its answer (+inf), then by the permit's token when it was answered (us). So a question counts for the
-- share as a call counts for the limits.

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

-- The question is answered, or can no longer be after `wait` ms. Without a token it was not asked.
local function end_question(id, token, wait)
  redis.call('ZREM', keys.asks, '!' .. id)
  if token then redis.call('ZADD', keys.asks, int(now_us + (wait or 0) * 1000), token) end
end
