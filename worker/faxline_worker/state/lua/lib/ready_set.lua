-- The ready set: the jobs that may go next, in the order of their places.
local POLL_PLACE = 4 * STRIDE -- of questions how a fax stands: behind all jobs that are due

-- Whether iFax keeps the fax until a date that is still to come.
local function is_for_later(job) return job.schedule == 'provider' and job.send_at and tonumber(job.send_at) > now end

-- Puts the job in its place in the ready set. A fax for later stands behind all that are due, until its date.
local function enter_ready(id, job)
  local place = job.place
  if is_for_later(job) then
    place = int(POLL_PLACE + now_us - EPOCH_US)
    redis.call('ZADD', keys.scheduled, job.send_at, id)
  end
  redis.call('ZADD', keys.ready, place, id)
end
